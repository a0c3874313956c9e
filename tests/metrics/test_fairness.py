"""Every metric against stored numbers of the official code, independent libraries, and properties it must have."""

import math
from pathlib import Path

import numpy as np
import pytest
from fairlearn.metrics import demographic_parity_difference as fairlearn_dpd
from fairlearn.metrics import equalized_odds_difference as fairlearn_eod
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, recall_score

from edgefair import metrics
from edgefair.errors import DataError
from edgefair.metrics import METRICS, confusion

REFERENCE = Path(__file__).parents[1] / "reference"
exactly = settings(derandomize=True, deadline=None, max_examples=60)


def table_of(vector: dict) -> np.ndarray:
    y_true, y_pred, group = (vector[name] for name in ("y_true", "y_pred", "group"))
    return confusion(y_true, y_pred, group, max(y_true.max(), y_pred.max()) + 1, group.max() + 1)


@st.composite
def tables(draw, least: int = 0):
    """A small confusion tensor [G, C, C]; `least` rows on the diagonal keep every cell filled."""
    groups, classes = draw(st.integers(2, 4)), draw(st.integers(2, 5))
    seed = draw(st.integers(0, 10_000))
    table = np.random.default_rng(seed).integers(0, 6, size=(groups, classes, classes))
    return table + least * np.eye(classes, dtype=np.int64)


def test_confusion_counts_group_true_predicted():
    table = confusion([0, 0, 1, 2, 1], [0, 1, 1, 2, 0], [0, 0, 1, 1, -1], 3, 2)
    assert table.dtype == np.int64
    expected = np.zeros((2, 3, 3))
    expected[0, 0, 0] = expected[0, 0, 1] = expected[1, 1, 1] = expected[1, 2, 2] = 1  # the row without group is out
    np.testing.assert_array_equal(table, expected)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (([0, 3], [0, 1], [0, 0], 3, 1), r"true class 3 in row 1 is outside 0 \.\. 2"),
        (([0, 2], [0, -1], [0, 0], 3, 1), r"predicted class -1 in row 1"),
        (([0, 2], [0, 1], [0, 1], 3, 1), r"group 1 in row 1 is outside -1 \.\. 0"),
        (([0, 2], [0.0, np.nan], [0, 0], 3, 1), "predicted class ids are float64; integers"),
        (([0, 2], [0], [0, 0], 3, 1), "2 true classes, 1 predicted classes and 2 groups"),
    ],
)
def test_confusion_refuses_what_it_cannot_count(arguments, says):
    with pytest.raises(DataError, match=says):
        confusion(*arguments)


@pytest.mark.parametrize("name", ["multi_10c_4g", "multi_class_absent_in_group"])
def test_multi_class_vectors(name):
    v = np.load(REFERENCE / f"fairness_{name}.npz")
    table = table_of(v)
    np.testing.assert_array_equal(table, v["out_confusion"])
    np.testing.assert_allclose(metrics.recall(table), v["out_recall_strict"], rtol=1e-12)
    np.testing.assert_allclose(metrics.class_gaps(table), v["out_recall_gap_per_class_strict"], rtol=1e-12)
    for rate, stored in (("precision", "precision"), ("false_positive_rate", "fpr_ovr")):
        np.testing.assert_allclose(getattr(metrics, rate)(table), v[f"out_{stored}_strict"], rtol=1e-10)
    np.testing.assert_allclose(metrics.selection_rate(table), v["out_selection_rate_ovr"], rtol=1e-10)
    np.testing.assert_array_equal(metrics.defined_groups(table), v["out_n_groups_defined_per_class"])
    np.testing.assert_array_equal(table.sum(axis=-1), v["out_support"])
    assert metrics.weighted_scores(table)["recall"] == pytest.approx(v["out_recall_weighted"], rel=1e-10)
    assert metrics.mean_abs_disparity(table) == pytest.approx(v["out_mean_abs_disparity_strict"])
    assert metrics.deo_mean(table) == pytest.approx(v["out_deo_mean_strict"])
    assert metrics.deo_max(table) == pytest.approx(v["out_deo_max_strict"])
    for agg in ("mean", "max"):
        assert metrics.demographic_parity_difference(table, agg=agg) == pytest.approx(v[f"out_dpd_{agg}"])
    assert metrics.accuracy(table) == pytest.approx(v["out_accuracy"])
    np.testing.assert_allclose(metrics.group_accuracy(table), v["out_accuracy_by_group"])
    for score, value in metrics.macro_scores(table).items():
        if score in ("precision", "recall", "f1"):
            assert value == pytest.approx(v[f"out_{score}_macro"])
    np.testing.assert_allclose(metrics.class_auroc(v["y_true"], v["prob"]), v["out_auroc_ovr_per_class"], rtol=1e-12)
    assert metrics.auroc(v["y_true"], v["prob"]) == pytest.approx(v["out_auroc_ovr_macro"])


def test_equalized_odds_of_many_classes_is_one_against_the_rest():
    v = np.load(REFERENCE / "fairness_multi_10c_4g.npz")
    worst = [metrics.equalized_odds_difference(table_of(v), agg=agg) for agg in ("mean", "max")]
    np.testing.assert_allclose(worst, [v["out_eod_worst_mean"], v["out_eod_worst_max"]])
    assert metrics.equalized_odds_difference(table_of(v), agg="mean", rates="mean") == pytest.approx(
        v["out_eod_mean_per_class"].mean()
    )


@pytest.mark.parametrize("name", ["binary_2g", "binary_4g_small"])
def test_binary_vectors_keep_undefined_rates_out(name):
    v = np.load(REFERENCE / f"fairness_{name}.npz")
    table = table_of(v)
    assert metrics.demographic_parity_difference(table) == pytest.approx(v["out_dpd_strict"])
    assert metrics.equalized_odds_difference(table) == pytest.approx(v["out_eod_worst_strict"])
    assert metrics.equalized_odds_difference(table, rates="mean") == pytest.approx(v["out_eod_mean_strict"])
    rates = {
        "selection_rate": metrics.selection_rate(table)[:, 1],
        "tpr_strict": metrics.recall(table)[:, 1],
        "fpr_strict": metrics.false_positive_rate(table)[:, 1],
        "accuracy": metrics.group_accuracy(table),
    }
    for name, rate in rates.items():
        np.testing.assert_allclose(rate, v[f"out_{name}"], rtol=1e-10, err_msg=name)
    assert (table[:, 1, 1].tolist(), table[:, 0, 1].tolist()) == (v["out_tp"].tolist(), v["out_fp"].tolist())
    undefined = metrics.undefined_counts(table)
    assert undefined["recall"]["of"] == 2 * len(table)
    assert np.isfinite(rates["fpr_strict"]).sum() == v["out_n_groups_with_fpr"]
    scores = np.stack([-v["score"], v["score"]], 1)
    by_group = [metrics.auroc(v["y_true"][v["group"] == g], scores[v["group"] == g]) for g in v["out_groups"]]
    np.testing.assert_allclose(by_group, v["out_auroc_by_group"], rtol=1e-10)
    for score in ("recall", "precision", "f1"):
        assert metrics.macro_scores(table)[score] == pytest.approx(v[f"out_{score}_macro"], rel=1e-10)
    assert metrics.auroc(v["y_true"], np.stack([-v["score"], v["score"]], 1)) == pytest.approx(v["out_auroc"])


def test_deo_vectors_and_their_empty_cell():
    v = np.load(REFERENCE / "deo.npz")
    for case in ("c10g2", "emptycell"):
        labels, preds, groups = (v[f"{case}_{name}"] for name in ("labels", "preds", "groups"))
        table = confusion(labels, preds, groups, int(v[f"{case}_num_classes"]), int(v[f"{case}_num_groups"]))
        np.testing.assert_allclose(metrics.recall(table), v[f"{case}_acc_group_class"], rtol=1e-6)
        np.testing.assert_allclose(metrics.deo_max(table), v[f"{case}_mfd_deo_max"], rtol=1e-6)
        np.testing.assert_allclose(metrics.deo_mean(table), v[f"{case}_cgl_deo_mean"], rtol=1e-6)
    assert metrics.missing_cells(table) == [(1, 1)]


def test_an_absent_group_is_reported_and_two_others_still_have_a_gap():
    table = np.array([[[8, 2], [1, 9]], [[0, 0], [0, 0]], [[5, 5], [0, 10]]])
    np.testing.assert_allclose(metrics.class_gaps(table), [0.3, 0.1])
    assert metrics.missing_cells(table) == [(1, 0), (1, 1)]
    assert np.isnan(metrics.worst_group_accuracy(table))
    best, worst = metrics.extreme_groups(table)
    np.testing.assert_array_equal([best, worst], [[0, 2], [2, 0]])
    assert np.isnan(metrics.class_gaps(table[:2])).all()
    np.testing.assert_array_equal(metrics.extreme_groups(table[:2]), -np.ones((2, 2)))
    assert all(np.isnan(metric(table[:2])) for metric in METRICS.values())


def test_signed_disparity_keeps_its_sign_and_wants_two_groups():
    table = np.array([[[8, 2], [1, 9]], [[5, 5], [0, 10]]])
    np.testing.assert_allclose(metrics.signed_disparity(table), [0.3, -0.1])
    with pytest.raises(ValueError, match="needs two groups, got 3"):
        metrics.signed_disparity(np.concatenate([table, table[:1]]))


@pytest.mark.parametrize("arguments", [{"agg": "min"}, {"rates": "best"}])
def test_unknown_options_are_errors(arguments):
    with pytest.raises(ValueError, match="allowed are"):
        metrics.equalized_odds_difference(np.ones((2, 2, 2)), **arguments)


@exactly
@given(tables(least=1))
@pytest.mark.slow
def test_agrees_with_fairlearn_and_scikit_learn_where_all_is_defined(table):
    group, y_true, y_pred = (axis.repeat(table.ravel()) for axis in np.indices(table.shape).reshape(3, -1))
    labels = np.arange(table.shape[1])
    np.testing.assert_array_equal(table.sum(axis=0), confusion_matrix(y_true, y_pred, labels=labels))
    if len(labels) == 2:
        assert metrics.demographic_parity_difference(table) == pytest.approx(
            fairlearn_dpd(y_true, y_pred, sensitive_features=group)
        )
        for rates, agg in (("worst", "worst_case"), ("mean", "mean")):
            theirs = fairlearn_eod(y_true, y_pred, sensitive_features=group, agg=agg)
            assert metrics.equalized_odds_difference(table, rates=rates) == pytest.approx(theirs)


@exactly
@given(tables(), st.randoms(use_true_random=False))
def test_relabelling_groups_or_classes_changes_no_metric(table, random):
    groups, classes = list(range(len(table))), list(range(table.shape[1]))
    random.shuffle(groups)
    random.shuffle(classes)
    renamed = table[groups][:, classes][:, :, classes]
    for name, metric in METRICS.items():
        if name.startswith("equalized_odds_difference") and len(classes) == 2:
            continue  # defined by class 1, whose false positives are the other class's misses
        np.testing.assert_allclose(metric(renamed), metric(table), atol=1e-12, err_msg=name)


@exactly
@given(tables(), st.integers(0, 1000))
def test_permuting_rows_changes_nothing(table, seed):
    rows = np.repeat(np.indices(table.shape).reshape(3, -1), table.ravel(), axis=1)
    group, y_true, y_pred = rows[:, np.random.default_rng(seed).permutation(rows.shape[1])]
    np.testing.assert_array_equal(confusion(y_true, y_pred, group, table.shape[1], len(table)), table)


@pytest.mark.parametrize("classes", [2, 4])
def test_batch_axes_agree_with_loops(classes):
    batch = np.random.default_rng(3).integers(0, 3, size=(5, 7, 3, classes, classes))
    functions = [*METRICS.values(), metrics.recall, metrics.class_gaps, metrics.group_accuracy, metrics.accuracy]
    for function in (*functions, metrics.worst_group_accuracy, lambda t: metrics.macro_scores(t)["f1"]):
        one_by_one = [function(table) for table in batch.reshape(-1, 3, classes, classes)]
        np.testing.assert_array_equal(function(batch).reshape(35, -1), np.array(one_by_one).reshape(35, -1))


def test_every_metric_of_the_table_returns_a_float():
    for classes in (2, 4):
        table = np.random.default_rng(0).integers(1, 9, size=(3, classes, classes))
        assert all(isinstance(metric(table), float) for metric in METRICS.values())


@exactly
@given(tables(), st.integers(2, 4))
def test_merging_duplicates_changes_no_metric(table, copies):
    rows = np.repeat(np.indices(table.shape).reshape(3, -1), table.ravel(), axis=1)
    group, y_true, y_pred = np.tile(rows, copies)
    many = confusion(y_true, y_pred, group, table.shape[1], len(table))
    np.testing.assert_array_equal(many, copies * table)
    for name, metric in METRICS.items():
        np.testing.assert_allclose(metric(many), metric(table), atol=1e-12, err_msg=name)
    for function in (metrics.macro_scores, metrics.weighted_scores):
        np.testing.assert_allclose(list(function(many).values()), list(function(table).values()), atol=1e-12)


def test_where_fairlearn_is_wrong_we_differ():
    # A perfect classifier, and a group without positives: fairlearn takes the undefined rate for 0.
    y_true = y_pred = np.array([0, 1, 0, 1, 0, 0])
    group = np.array([0, 0, 0, 0, 1, 1])
    perfect = confusion(y_true, y_pred, group, 2, 2)
    assert fairlearn_eod(y_true, y_pred, sensitive_features=group) == 1.0
    assert math.isnan(metrics.equalized_odds_difference(perfect))
    assert metrics.undefined_counts(perfect)["recall"] == {"undefined": 1, "of": 4}
    np.testing.assert_array_equal(metrics.defined_groups(perfect), [2, 1])

    # Three classes: fairlearn silently looks at class 1 only, where both groups are alike, and not at classes 0 and 2.
    y_pred = np.array([0, 0, 1, 2, 2, 1])
    group = np.array([0, 0, 0, 1, 1, 1])
    table = confusion(y_pred, y_pred, group, 3, 2)
    assert fairlearn_dpd(y_pred, y_pred, sensitive_features=group) == 0.0
    assert metrics.demographic_parity_difference(table) == pytest.approx(2 / 3)
    assert metrics.demographic_parity_difference(table, agg="mean") == pytest.approx(4 / 9)
    with pytest.raises(ValueError, match="pos_label"):
        fairlearn_eod(y_pred, y_pred, sensitive_features=group)

    # One group alone has no difference to speak of; fairlearn says that it is perfectly fair.
    alone = np.zeros(6, dtype=int)
    assert fairlearn_dpd(y_true, y_true, sensitive_features=alone) == 0.0
    assert math.isnan(metrics.demographic_parity_difference(confusion(y_true, y_true, alone, 2, 2)))


def test_a_declared_class_without_rows_is_not_averaged_as_zero_or_one():
    y_true, y_pred = [0, 0, 1, 1], [0, 0, 1, 0]
    zero, one = (recall_score(y_true, y_pred, labels=[0, 1, 2], average="macro", zero_division=z) for z in (0, 1))
    assert (zero, one) == (pytest.approx(0.5), pytest.approx(5 / 6))
    scores = metrics.macro_scores(confusion(y_true, y_pred, [0] * 4, 3, 1))
    assert scores["recall"] == 0.75
    assert scores["classes_without_rows"] == 1


def test_groups_of_several_attributes_are_formed_and_empty_ones_stay_declared():
    gender, age = np.array([0, 1, 1, -1, 0]), np.array([0, 2, 0, 1, -1])
    groups, names = metrics.intersection([gender, age], [("woman", "man"), ("young", "middle", "old")])
    assert names[:3] == ("woman & young", "woman & middle", "woman & old")
    assert [names[g] if g >= 0 else None for g in groups] == [
        "woman & young", "man & old", "man & young", None, None,
    ]  # fmt: skip
    table = confusion([0, 0, 1, 1, 0], [0, 1, 1, 1, 0], groups, 2, len(names))
    assert table.sum() == 3
    assert np.isnan(metrics.worst_group_accuracy(table))
    assert (1, 0) in metrics.missing_cells(table)
    with pytest.raises(DataError, match="group 2 in row 0 is outside -1"):
        metrics.intersection([np.array([2])], [("a", "b")])
    with pytest.raises(DataError, match="have \\[5, 1\\] rows"):
        metrics.intersection([gender, age[:1]], [("a", "b"), ("a", "b", "c")])
    with pytest.raises(DataError, match="1 arrays of groups and 2 of names"):
        metrics.intersection([gender], [("a", "b"), ("c", "d")])


@exactly
@given(tables(least=1), st.integers(0, 100))
def test_a_soft_attribute_that_is_hard_gives_the_hard_metrics(table, seed):
    table = table[:2]
    group, y_true, y_pred = np.repeat(np.indices(table.shape).reshape(3, -1), table.ravel(), axis=1)
    soft, left_out = metrics.soft_confusion(y_true, y_pred, group.astype(float), table.shape[1])
    np.testing.assert_array_equal(soft, table)
    assert left_out == 0
    for metric in METRICS.values():
        np.testing.assert_array_equal(metric(soft), metric(table))
    z = np.random.default_rng(seed).random(len(group))
    z[0] = np.nan
    soft, left_out = metrics.soft_confusion(y_true, y_pred, z, table.shape[1])
    assert left_out == 1
    for side, weight in enumerate((1 - z, z)):
        for label in range(table.shape[1]):
            of_class = (y_true == label) & ~np.isnan(z)
            if of_class.any():
                by_hand = np.average((y_pred == label)[of_class], weights=weight[of_class])
                assert metrics.recall(soft)[side, label] == pytest.approx(by_hand)


def test_a_soft_attribute_out_of_range_is_refused():
    with pytest.raises(DataError, match=r"soft attribute 1\.5 in row 1 is outside 0 \.\. 1"):
        metrics.soft_confusion([0, 1], [0, 1], [0.5, 1.5], 2)
