"""What the report says of one model beside another: the word "fairer" only with its test, and the flips by group."""

import numpy as np
import pytest

from edgefair.metrics.comparison import align
from edgefair.metrics.fairness_claim import fairness_claim
from edgefair.metrics.flips import flips_by_group
from edgefair.predictions import Predictions
from edgefair.report.wording import verdict_in_words
from tests.helpers.report_data import entry, predictions

CLASSES, GROUPS = ("cat", "dog"), ("warm", "cool")


def model(name: str, rates: tuple[float, float], per_cell: int, seed: int = 0) -> Predictions:
    """Predictions whose recall in each group is about the given rate, for both classes."""
    made = predictions(name, CLASSES, GROUPS, per_cell)
    rng = np.random.default_rng(seed)
    right = rng.random(len(made.labels)) < np.asarray(rates)[made.groups]
    logits = np.eye(2, dtype=np.float32)[np.where(right, made.labels, 1 - made.labels)]
    return Predictions(made.ids, made.labels, made.groups, logits, CLASSES, GROUPS, made.about)


@pytest.mark.parametrize(
    ("before", "after", "per_cell", "word"),
    [
        ((0.9, 0.5), (0.9, 0.85), 400, "fairer"),
        ((0.9, 0.85), (0.9, 0.5), 400, "less fair"),
        ((0.9, 0.5), (0.9, 0.85), 6, "not shown to differ"),
        ((0.9, 0.8), (0.9, 0.8), 400, "not shown to differ"),
    ],
)
def test_fairer_is_said_only_where_the_rows_show_it(before, after, per_cell, word):
    reference, candidate = model("old", before, per_cell), model("new", after, per_cell, seed=1)
    claim = fairness_claim(align(reference, candidate), 500, np.random.default_rng(0))
    assert claim["word"] == word
    if word == "not shown to differ":
        assert claim["at_least_points"] is None
        assert "not shown to be fairer or less fair" in claim["sentence"]
    else:
        assert 10 < claim["at_least_points"] < 36
        assert f"new is {word} than old" in claim["sentence"]


def test_fairer_is_rarely_said_of_two_models_that_are_alike():
    said = [
        fairness_claim(
            align(model("a", (0.8, 0.7), 60, 2 * i), model("b", (0.8, 0.7), 60, 2 * i + 1)),
            200,
            np.random.default_rng(i),
        )["word"]
        for i in range(200)
    ]
    assert sum(word != "not shown to differ" for word in said) <= 16  # 5 % of 200 is 10; P(more than 16) is 2 %


def test_flips_are_counted_by_group_and_sum_to_all_changes():
    before, after = predictions("a", CLASSES, GROUPS, 50, seed=1), predictions("b", CLASSES, GROUPS, 50, seed=2)
    unknown = before.groups.copy()
    unknown[::10] = -1
    before, after = (Predictions(p.ids, p.labels, unknown, p.logits, CLASSES, GROUPS, p.about) for p in (before, after))
    rows = flips_by_group(align(before, after))
    assert [row["group"] for row in rows] == [*GROUPS, None]
    assert sum(row["rows"] for row in rows) == len(before.ids)
    changed = (before.predicted != after.predicted).sum()
    assert sum(row["lost"] + row["won"] + row["other"] for row in rows) == changed
    lost = (before.predicted == before.labels) & (after.predicted != after.labels)
    assert [row["lost"] for row in rows] == [int((lost & (unknown == g)).sum()) for g in (0, 1, -1)]


def test_words_name_what_broke_and_what_is_unsure():
    good, bad = model("old", (0.95, 0.95), 300), model("new", (0.95, 0.6), 300, seed=1)
    few = model("few", (1.0, 1.0), 8)
    failed, unsure, passed = entry(bad, good), entry(few, few), entry(good, good)
    text = verdict_in_words(failed, entry(good))
    assert "loss of accuracy in one group (" in text
    assert "change of the gap between groups (" in text
    assert "allowed 2.00\u00a0points" in text
    assert "too few rows to be sure of" in verdict_in_words(unsure, entry(few))
    assert "is possible, allowed" in verdict_in_words(unsure, entry(few))
    assert "kept all" in verdict_in_words(passed, entry(good))
