"""The verdict: stored cases, what must fail, what must stay undecided, and what cannot be compared."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgefair.errors import DataError, RecipeError
from edgefair.files import digest
from edgefair.gate import Tolerance, compare
from tests.helpers.gate_cases import WIDE, changed, check, example, predictions

REFERENCE = Path(__file__).parents[1] / "reference"


@pytest.mark.parametrize("name", ["int8_like", "group_hurt"])
@pytest.mark.slow
def test_stored_verdicts_on_the_mean_drift(name):
    v = np.load(REFERENCE / f"fairness_gate_{name}.npz")
    reference, candidate = (predictions(v[pred], v["y_true"], v["group"]) for pred in ("pred_ref", "pred_engine"))
    for tolerance, expected in zip(v["tolerances"], v["out_verdict"], strict=True):
        verdict = compare(reference, candidate, replace(WIDE, mean_drift_points=100 * float(tolerance)))
        assert (verdict.outcome, check(verdict, "mean_drift").outcome) == (expected, expected)
    assert check(verdict, "mean_drift").value == pytest.approx(100 * v["out_worsening"])
    assert check(verdict, "mean_drift").bound == pytest.approx(100 * v["out_mean_drift_ucb95"], rel=0.05)
    assert verdict.numbers["mean_drift_points"] == pytest.approx(100 * v["out_mean_drift"])
    assert verdict.numbers["max_drift_points"] == pytest.approx(100 * v["out_max_drift"])
    for model, stored in (("reference", "ref"), ("candidate", "engine")):
        assert verdict.numbers[model]["mean_abs_disparity_points"] == pytest.approx(100 * v[f"out_disparity_{stored}"])


def test_an_identical_candidate_passes_and_is_repeatable():
    reference = example()
    verdict = compare(reference, reference, Tolerance(), seed=3)
    assert verdict.outcome == "pass"
    assert verdict == compare(reference, reference, Tolerance(), seed=3)
    assert verdict.sentence.startswith("PASS. On 4,000 rows (cells of 500 rows)")
    assert verdict.numbers["reference"]["noise_floor_points"] > 0
    assert json.loads(json.dumps(verdict.to_dict(), allow_nan=False))["outcome"] == "pass"


def test_rows_are_matched_by_id_in_any_order():
    reference = example()
    candidate = changed(reference, slice(0, 300), 1)
    order = np.random.default_rng(1).permutation(len(reference.ids))
    shuffled = replace(
        candidate, **{name: getattr(candidate, name)[order] for name in ("ids", "labels", "groups", "logits")}
    )
    assert compare(reference, shuffled, Tolerance()) == compare(reference, candidate, Tolerance())


def test_too_few_rows_are_inconclusive_and_say_how_many_are_needed():
    reference = example(cell_rows=40)
    verdict = compare(reference, reference, Tolerance(accuracy_drop_points=3, worst_group_drop_points=5))
    drift = check(verdict, "mean_drift")
    assert drift.value == 0
    assert (verdict.outcome, drift.outcome) == ("inconclusive", "inconclusive")
    assert "rows per group and class would be needed" in verdict.sentence
    enough = example(cell_rows=400)
    assert compare(enough, enough, Tolerance()).outcome == "pass"


def test_one_group_hurt_fails_though_accuracy_hardly_moves():
    reference = example(cell_rows=500, classes=8)
    hurt = np.flatnonzero((reference.groups == 1) & (reference.predicted == reference.labels))[::12]
    healed = np.flatnonzero((reference.groups == 0) & (reference.predicted != reference.labels))[: len(hurt)]
    predicted = reference.predicted.copy()
    predicted[hurt], predicted[healed] = (reference.labels[hurt] + 1) % 8, reference.labels[healed]
    candidate = predictions(predicted, reference.labels, reference.groups)
    verdict = compare(reference, candidate, Tolerance())
    assert check(verdict, "accuracy_drop").outcome == "pass"
    assert check(verdict, "mean_drift").outcome == "fail"
    assert check(verdict, "worst_group_drop").outcome == "fail"
    assert verdict.outcome == "fail"
    assert "group1" in check(verdict, "worst_group_drop").sentence


@pytest.mark.parametrize("claim", ["same", "no_worse"])
def test_a_collapsed_candidate_fails_though_its_disparity_is_zero(claim):
    reference = example()
    verdict = compare(reference, changed(reference, slice(None), 2), replace(WIDE, mean_drift_points=100), claim=claim)
    assert verdict.numbers["candidate"]["mean_abs_disparity_points"] == 0
    assert check(verdict, "collapse").outcome == "fail"
    assert verdict.outcome == "fail"
    collapsed = changed(reference, slice(None), 2)
    assert compare(collapsed, collapsed, WIDE).outcome == "fail"  # nor does a collapsed reference excuse it


def test_a_class_that_vanishes_fails_though_it_hurts_both_groups_alike():
    reference = example(cell_rows=100, classes=30, error_share=0.0)
    verdict = compare(reference, changed(reference, reference.predicted == 7, 8), replace(WIDE, mean_drift_points=50))
    assert verdict.numbers["candidate"]["mean_abs_disparity_points"] == 0
    assert check(verdict, "collapse").value > 0.9
    assert check(verdict, "collapse").outcome == "fail"
    assert "never predicted any more: class7" in verdict.sentence


def test_nothing_passes_where_every_cell_is_too_small_to_be_covered():
    reference = example(cell_rows=20)
    wide = replace(WIDE, mean_drift_points=50, min_cell=21)
    verdict = compare(reference, reference, wide)
    assert all(check.outcome == "pass" for check in verdict.checks if check.gated)
    assert verdict.outcome == "inconclusive"
    assert verdict.sentence.startswith("INCONCLUSIVE.")
    assert "No cell is large enough for a verdict. Says nothing about: group0/class0" in verdict.sentence
    assert compare(reference, reference, replace(wide, min_cell=20)).outcome == "pass"


def test_nothing_passes_where_no_class_has_two_groups_that_are_large_enough():
    whole = example(cell_rows=100, classes=2)
    wide = replace(WIDE, mean_drift_points=50, min_cell=30)

    def thinned(cells):
        """Of each of these (group, class) cells nine rows."""
        rows = np.arange(len(whole.labels))
        for group, label in cells:
            cell = np.flatnonzero((whole.groups == group) & (whole.labels == label))
            rows = np.setdiff1d(rows, cell[9:])
        return predictions(whole.predicted[rows], whole.labels[rows], whole.groups[rows])

    for cells, outcome in (([(0, 0)], "pass"), ([(0, 0), (1, 1)], "inconclusive"), ([(1, 0), (1, 1)], "inconclusive")):
        few = thinned(cells)
        verdict = compare(few, few, wide)
        assert verdict.outcome == outcome, cells
        assert ("No class has two groups large enough" in verdict.sentence) == (outcome == "inconclusive")
    alone = thinned([(1, 0), (1, 1)])
    alone = predictions(alone.predicted, alone.labels, alone.groups * 0)  # one group: accuracy can be judged
    assert compare(alone, alone, wide).numbers["covers_no_gap"] is False


def test_a_class_that_is_hardly_predicted_any_more_fails():
    reference = example(cell_rows=100, classes=30, error_share=0.0)
    of_class = np.flatnonzero(reference.predicted == 7)
    most, enough = (changed(reference, of_class[: int(len(of_class) * share)], 8) for share in (0.6, 0.4))
    verdict = compare(reference, most, replace(WIDE, mean_drift_points=50))
    assert check(verdict, "collapse").outcome == "fail"
    assert "hardly predicted any more: class7" in verdict.sentence
    assert check(compare(reference, enough, replace(WIDE, mean_drift_points=50)), "collapse").outcome == "pass"


def test_a_declared_cell_or_group_without_rows_is_inconclusive():
    reference = example()
    keep = (reference.groups != 1) | (reference.labels != 2)
    some = predictions(reference.predicted[keep], reference.labels[keep], reference.groups[keep])
    verdict = compare(some, some, Tolerance())
    assert verdict.outcome == "inconclusive"
    assert "no rows of group1/class2" in verdict.sentence
    assert "Says nothing about: group1/class2." in verdict.sentence
    third = predictions(reference.predicted, reference.labels, reference.groups, num_groups=3)
    verdict = compare(third, third, Tolerance())
    assert check(verdict, "worst_group_drop").outcome == check(verdict, "mean_drift").outcome == "inconclusive"
    nobody = predictions(reference.predicted, reference.labels, np.full(len(reference.ids), -1), num_groups=2)
    verdict = compare(nobody, nobody, Tolerance())
    assert verdict.outcome == "inconclusive"
    assert verdict.numbers["rows_without_group"] == 4000
    json.dumps(verdict.to_dict(), allow_nan=False)


def test_small_cells_are_named_as_not_covered():
    reference = example(cell_rows=500)
    keep = np.ones(len(reference.ids), dtype=bool)
    keep[np.flatnonzero((reference.groups == 0) & (reference.labels == 3))[20:]] = False
    some = predictions(reference.predicted[keep], reference.labels[keep], reference.groups[keep])
    verdict = compare(some, some, Tolerance())
    assert verdict.numbers["small_cells"] == ["group0/class3"]
    assert verdict.sentence.endswith("Says nothing about: group0/class3.")


def test_a_better_student_passes_no_worse_but_not_same():
    rng = np.random.default_rng(4)
    teacher, student = example(seed=1), example(seed=2, error_share=0.06)
    favoured = rng.random(len(teacher.ids)) < 0.6 * (teacher.groups == 0)
    teacher = changed(teacher, favoured, teacher.labels[favoured])  # the teacher serves group 0 better
    same, no_worse = (compare(teacher, student, Tolerance(), claim=claim) for claim in ("same", "no_worse"))
    assert same.outcome == "fail"
    assert check(same, "mean_drift").outcome == "inconclusive"
    assert no_worse.outcome == "pass"
    assert not check(no_worse, "flip_rate").gated
    assert check(no_worse, "flip_rate").value > 10


def test_flips_fail_above_the_limit_and_the_largest_gap_is_gated_on_request():
    reference = example(cell_rows=2000)
    candidate = changed(reference, slice(None, None, 25), 0)
    assert check(compare(reference, candidate, Tolerance(flip_rate_percent=1)), "flip_rate").outcome == "fail"
    assert check(compare(reference, candidate, Tolerance(flip_rate_percent=None)), "flip_rate").gated is False
    verdict = compare(reference, reference, Tolerance(max_drift_points=1))
    assert check(verdict, "max_drift").outcome == "pass"
    assert check(compare(reference, candidate, Tolerance(max_drift_points=0.1)), "max_drift").outcome != "pass"


def test_the_same_rows_in_another_order_are_the_same_data():
    reference = example(cell_rows=50)
    order = np.random.default_rng(0).permutation(len(reference.ids))
    shuffled = {name: getattr(reference, name)[order] for name in ("ids", "labels", "groups", "logits")}
    both = [
        replace(each, about={"rows_sha256": digest(each.ids.tolist()), "data_sha256": str(index)})
        for index, each in enumerate((reference, replace(reference, **shuffled)))
    ]
    assert compare(*both, Tolerance()).checks == compare(reference, reference, Tolerance()).checks


def test_what_cannot_be_compared_is_an_error_that_says_what_differs():
    reference = example(cell_rows=5)
    one_less = {name: getattr(reference, name)[:-1] for name in ("ids", "labels", "groups", "logits")}
    for other, says in (
        (replace(reference, **one_less), "1 examples are only in the reference, first id 'row39'"),
        (replace(reference, labels=reference.labels[::-1].copy()), "the labels of 40 examples differ"),
        (replace(reference, groups=reference.groups - 1), "first id 'row0': reference 0, candidate -1"),
        (replace(reference, class_names=("a", "b", "c", "d")), "the class_names differ"),
        (replace(reference, group_names=("men", "women")), "the group_names differ"),
    ):
        with pytest.raises(DataError, match=says):
            compare(reference, other, Tolerance())
    about = {"rows_sha256": "1" * 64, "data_sha256": "2" * 64}
    for key, says in (("rows_sha256", "another list of rows: rows_sha256"), ("data_sha256", "another data set: data_")):
        with pytest.raises(DataError, match=says):
            compare(replace(reference, about=about), replace(reference, about=about | {key: "3" * 64}), Tolerance())
    nothing = replace(reference, **{name: getattr(reference, name)[:0] for name in one_less})
    with pytest.raises(DataError, match="no rows"):
        compare(nothing, nothing, Tolerance())
    with pytest.raises(ValueError, match="allowed are same and no_worse"):
        compare(reference, reference, Tolerance(), claim="better")


@pytest.mark.parametrize(
    "setting", [{"mean_drift_points": -1}, {"confidence": 95}, {"replicates": 10}, {"min_cell": 0}]
)
def test_a_tolerance_out_of_range_is_an_error(setting):
    with pytest.raises(RecipeError, match=f"tolerance '{next(iter(setting))}' is"):
        Tolerance(**setting)


def test_without_groups_nothing_is_said_about_fairness():
    labels = np.arange(4).repeat(500)
    alone = predictions(labels, labels, np.zeros(2000, np.int64))
    for claim in ("same", "no_worse"):
        verdict = compare(alone, alone, Tolerance(max_drift_points=5.0), claim=claim)
        assert verdict.outcome == "inconclusive"
        for name in ("mean_drift", "max_drift"):
            assert "no groups are declared" in check(verdict, name).sentence
            assert np.isnan(check(verdict, name).bound)
        assert check(verdict, "accuracy_drop").outcome == "pass"
        assert "no groups are declared" in verdict.sentence
        assert json.loads(json.dumps(verdict.to_dict()))["numbers"]["mean_drift_points"] is None
    worse = changed(alone, slice(0, 400), 3)
    assert compare(alone, worse, Tolerance()).outcome == "fail"
