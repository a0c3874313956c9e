"""Checks that only together make a verdict: a destroyed engine, one group's flips, one class's gap, repeated people."""

from dataclasses import replace

import numpy as np
import pytest

from edgefair.errors import DataError
from edgefair.gate import Tolerance, compare
from edgefair.metrics import METRICS, accuracy, accuracy_gap, confusion, flip_rate, worst_group_accuracy
from edgefair.metrics import equalized_odds_difference as equalized_odds
from edgefair.metrics.gap_drift import worsening_bound
from edgefair.metrics.paired import paired_counts
from tests.helpers.gate_cases import WIDE, changed, check, example, predictions

# Rows by race group (5) and gender (2) that (both get right, fp32 only, INT8 only, neither), with the margins measured
# for an EfficientNet-B0 on UTKFace and its INT8 form: accuracy, accuracy gap, worst group, equalised odds, flips.
DESTROYED = np.array(
    [
        [[31, 542, 108, 288], [1225, 194, 131, 31]],
        [[19, 457, 64, 56], [284, 60, 193, 17]],
        [[16, 291, 53, 131], [304, 49, 82, 14]],
        [[16, 311, 54, 131], [230, 44, 131, 13]],
        [[8, 147, 24, 51], [128, 21, 44, 7]],
    ]
)


def test_a_destroyed_engine_fails_though_its_disparity_improved():
    groups, labels, outcome = np.repeat(np.indices(DESTROYED.shape).reshape(3, -1), DESTROYED.ravel(), axis=1)
    reference = predictions(np.where(outcome < 2, labels, 1 - labels), labels, groups)
    candidate = predictions(np.where(outcome % 2 == 0, labels, 1 - labels), labels, groups)
    tables = [confusion(labels, each.predicted, groups, 2, 5) for each in (reference, candidate)]
    margins = [
        [f"{100 * metric(table):.2f}" for metric in (accuracy, accuracy_gap, worst_group_accuracy, equalized_odds)]
        for table in tables
    ]
    assert margins == [["72.95", "13.49", "64.62", "27.66"], ["52.42", "12.28", "46.34", "0.67"]]
    assert flip_rate(reference.predicted, candidate.predicted) == 0.5

    # What looks at disparity alone is content: it fell by every measure, and even the bound of its worsening passes.
    for metric in METRICS.values():
        assert metric(tables[1]) < metric(tables[0]) + 0.02
    counts = paired_counts(labels, groups, reference.predicted, candidate.predicted, 2, 5)
    assert worsening_bound(counts, 2000, np.random.default_rng(0)) < 0.02

    for claim in ("same", "no_worse"):
        verdict = compare(reference, candidate, Tolerance(), claim=claim)
        assert verdict.outcome == "fail"
        for name in ("accuracy_drop", "worst_group_drop", "collapse"):
            assert check(verdict, name).outcome == "fail", name
    for name in ("flip_rate", "group_flip_rate"):
        assert check(compare(reference, candidate, Tolerance()), name).outcome == "fail"


def test_flips_that_one_group_bears_alone_fail():
    reference = example(cell_rows=500, classes=4)
    wrong = np.flatnonzero((reference.groups == 1) & (reference.predicted != reference.labels))
    candidate, some = (changed(reference, rows, (reference.predicted[rows] + 1) % 4) for rows in (wrong, wrong[::2]))
    tolerance = replace(WIDE, mean_drift_points=100, flip_rate_percent=15)
    verdict = compare(reference, candidate, tolerance)
    assert check(verdict, "flip_rate").outcome == "pass"
    assert check(verdict, "group_flip_rate").outcome == "fail"
    assert "of group1 differ" in check(verdict, "group_flip_rate").sentence
    assert check(compare(reference, some, tolerance), "group_flip_rate").outcome == "pass"
    np.testing.assert_allclose(
        verdict.numbers["flip_percent_by_group"], [0, 100 * len(wrong) / (reference.groups == 1).sum()]
    )


def test_the_largest_drift_is_gated_where_rows_can_support_it_and_reported_otherwise():
    few, many = example(cell_rows=300), example(cell_rows=3000)
    reported = check(compare(few, few, Tolerance()), "max_drift")
    assert not reported.gated
    assert reported.sentence.startswith("reported, not gated: ")
    assert "these rows can support" in reported.sentence
    gated = check(compare(many, many, Tolerance()), "max_drift")
    assert (gated.gated, gated.outcome, gated.limit) == (True, "pass", 5.0)
    assert not check(compare(many, many, Tolerance(supported_max_drift_points=None)), "max_drift").gated
    assert not check(compare(many, many, Tolerance(), claim="no_worse"), "max_drift").gated
    one = np.flatnonzero((many.groups == 1) & (many.labels == 2) & (many.predicted == 2))
    hurt = changed(many, one[:350], 3)  # twelve points in one cell, three on average over classes
    verdict = compare(many, hurt, replace(WIDE, mean_drift_points=5.0))
    assert check(verdict, "mean_drift").outcome == "pass"
    assert check(verdict, "max_drift").outcome == "fail"
    assert verdict.outcome == "fail"


def test_repeated_people_make_the_bounds_wider_and_are_counted():
    rng = np.random.default_rng(0)
    reference = example(cell_rows=600)
    person = np.arange(len(reference.ids)) // 6
    flipped = np.isin(person, rng.choice(person.max(), 24, replace=False))
    candidate = changed(reference, flipped, (reference.predicted[flipped] + 1) % 4)
    who = np.array([f"person{number}" for number in person])
    alone = compare(reference, candidate, Tolerance())
    together = compare(replace(reference, identities=who), replace(candidate, identities=who), Tolerance())
    assert (alone.numbers["identities"], together.numbers["identities"]) == (None, person.max() + 1)
    for name in ("accuracy_drop", "worst_group_drop", "mean_drift", "max_drift", "flip_rate", "group_flip_rate"):
        assert check(together, name).value == check(alone, name).value
        assert check(together, name).bound > check(alone, name).bound, name
    assert compare(reference, replace(candidate, identities=who), Tolerance()) == together
    with pytest.raises(DataError, match="the identities of 4800 examples differ"):
        compare(replace(reference, identities=who), replace(candidate, identities=who[::-1].copy()), Tolerance())
