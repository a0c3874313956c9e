"""`edgefair compare`: what changed, counted by hand, and the list of flipped examples."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from edgefair.metrics.comparison import align
from edgefair.metrics.flips import differences, list_flips
from edgefair.metrics.intervals import paired_change_interval, wilson
from edgefair.predictions import Predictions
from edgefair.report.terminal.compare import mcnemar_sentence
from tests.helpers.command_line import run
from tests.helpers.judged_run import make_run

pytestmark = pytest.mark.integration

NAMES = {"class_names": ("ant", "bee", "cow"), "group_names": ("in", "out")}
LABELS, GROUPS = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 0, 1, 0, -1])


def model(logits, ids="abcdef") -> Predictions:
    return Predictions(
        ids=np.array(list(ids)), labels=LABELS, groups=GROUPS, logits=np.array(logits, np.float32), **NAMES
    )


A = model([[2, 0, 0], [3, 0, 0], [0, 2, 0], [0, 2, 1], [0, 1, 0], [1, 0, 0]])  # ant ant bee bee bee ant
B = model([[2, 0, 0], [0, 4, 0], [0, 2, 0], [0, 1, 2], [0, 0, 1], [0, 1, 0]])  # ant bee bee cow cow bee


def test_counts_by_hand():
    found = differences(align(A, B))
    whole = found["accuracy"]
    assert (whole["rows"], whole["lost"], whole["won"], whole["flips"]) == (6, 2, 1, 4)
    assert (whole["accuracy_a"], whole["accuracy_b"]) == (4 / 6, 3 / 6)
    assert whole["change_interval_points"] == pytest.approx([100 * v for v in paired_change_interval(2, 1, 6)])
    assert whole["flip_interval"] == pytest.approx(wilson(4, 6).tolist())
    assert whole["mcnemar_midp"] == pytest.approx(0.625)  # 2 P(X <= 1) - P(X = 1) of Bin(3, 1/2)
    inside, outside = found["groups"]
    assert (inside["rows"], inside["lost"], inside["won"], inside["flips"]) == (3, 0, 1, 1)
    assert (outside["rows"], outside["lost"], outside["won"], outside["flips"]) == (2, 2, 0, 2)
    cow = next(cell for cell in found["cells"] if (cell["group"], cell["class"]) == ("out", "cow"))
    assert cow["rows"] == 0
    assert np.isnan(cow["change_points"])
    assert [row["flips"] for row in found["classes"]] == [1, 1, 2]


def test_disagreement_is_the_confusion_of_b_against_a():
    table = differences(align(A, B))["disagreement"]
    np.testing.assert_array_equal(table, confusion_matrix(A.predicted, B.predicted, labels=[0, 1, 2]))


def test_flips_are_listed_with_margins_the_surest_first():
    flips = list_flips(align(A, B))
    assert [flip.id for flip in flips] == ["b", "d", "e", "f"]
    first, last = flips[0], flips[-1]
    assert (first.label, first.group, first.a, first.b, first.change) == ("ant", "out", "ant", "bee", "lost")
    e3, e4 = np.exp(3), np.exp(4)
    assert first.margin == pytest.approx((e3 - 1) / (e3 + 2))
    assert first.margin_b == pytest.approx((e4 - 1) / (e4 + 2))
    assert (last.group, last.change) == ("unknown", "both wrong")


@given(st.permutations(range(6)))
def test_the_order_of_rows_does_not_matter(order):
    order = np.array(order)
    shuffled = replace(B, **{name: getattr(B, name)[order] for name in ("ids", "labels", "groups", "logits")})
    assert list_flips(align(A, shuffled)) == list_flips(align(A, B))
    before, after = (differences(align(A, other))["disagreement"] for other in (B, shuffled))
    np.testing.assert_array_equal(after, before)


def test_mcnemars_test_says_what_it_does_not_show():
    assert "accuracy changed" in mcnemar_sentence(0.01, 30)
    assert "does not show that nothing changed" in mcnemar_sentence(0.6, 30)
    assert "one group gaining what another loses stays unseen" in mcnemar_sentence(0.6, 30)
    assert "no row changed" in mcnemar_sentence(1.0, 0)


def test_the_command_prints_and_writes_every_flip(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    A.save(tmp_path / "a.npz")
    B.save(tmp_path / "b.npz")
    outputs = ("--json", str(tmp_path / "c.json"), "--csv", str(tmp_path / "c.csv"), "--top", "2")
    code, text = run(capsys, "compare", str(tmp_path / "a.npz"), str(tmp_path / "b.npz"), *outputs)
    assert code in (0, None)
    assert "4 predictions changed: 66.67 %" in text
    assert "the 2 of 4 that A was surest of" in text
    assert "Where they differ (A -> B, rows): ant -> bee 2, bee -> cow 2." in text
    assert all(len(line) <= 100 for line in text.splitlines() if "─" in line)
    record = json.loads((tmp_path / "c.json").read_text(), parse_constant=pytest.fail)
    assert len(record["flips"]) == 4
    assert record["a"]["source"].endswith("a.npz")
    with open(tmp_path / "c.csv", newline="") as stream:
        assert [row["id"] for row in csv.DictReader(stream)] == ["b", "d", "e", "f"]


def test_equal_models_have_nothing_to_list(capsys, tmp_path):
    A.save(tmp_path / "a.npz")
    code, text = run(capsys, "compare", str(tmp_path / "a.npz"), str(tmp_path / "a.npz"))
    assert code in (0, None)
    assert "None of the 3 classes has a changed prediction." in text
    assert "Flipped examples" not in text


def test_a_run_with_several_artefacts_must_name_one(capsys, tmp_path):
    folder = make_run(tmp_path / "run")
    code, text = run(capsys, "compare", str(folder), str(folder))
    assert code == 2
    assert "holds 2 exported artefacts: name one of" in text
    code, text = run(capsys, "compare", str(folder), f"{folder}:ort-cpu-int8")
    assert code in (0, None)
    assert "ort-cpu-int8" in text
    assert run(capsys, "compare", "none.npz", str(folder))[0] == 2
