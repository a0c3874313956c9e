"""Scores of predictions against scikit-learn, loops written by hand, and what is undefined."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score

from edgefair import metrics
from edgefair.errors import DataError
from edgefair.metrics import confusion
from edgefair.metrics.evaluate import evaluate
from edgefair.metrics.performance import prediction_variety
from edgefair.predictions import Predictions

exactly = settings(derandomize=True, deadline=None, max_examples=60)


@exactly
@given(st.integers(2, 5), st.integers(0, 10_000))
def test_both_averages_agree_with_scikit_learn(classes, seed):
    rng = np.random.default_rng(seed)
    y_true = np.concatenate([np.arange(classes), rng.integers(0, classes, 30)])
    y_pred = rng.integers(0, classes, len(y_true))
    table = confusion(y_true, y_pred, rng.integers(0, 2, len(y_true)), classes, 2)
    for average, scores in (("macro", metrics.macro_scores(table)), ("weighted", metrics.weighted_scores(table))):
        for name, function in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
            theirs = function(y_true, y_pred, average=average, zero_division=0)
            assert scores[name] == pytest.approx(theirs, abs=1e-12)
    assert metrics.weighted_scores(table)["recall"] == pytest.approx(metrics.accuracy(table))


def test_macro_scores_leave_out_absent_classes_and_count_unpredicted_ones():
    table = confusion([0, 0, 1, 1], [0, 0, 0, 2], [0, 0, 0, 0], 3, 1)
    scores = metrics.macro_scores(table)
    assert scores["recall"] == 0.5
    assert scores["precision"] == pytest.approx((2 / 3 + 0) / 2)
    assert (scores["classes_without_rows"], scores["classes_never_predicted"]) == (1, 1)


def error_by_hand(labels, probabilities, bins):
    total = 0.0
    confidence, predicted = probabilities.max(axis=1), probabilities.argmax(axis=1)
    for index in range(bins):
        inside = (confidence > index / bins) & (confidence <= (index + 1) / bins)
        if inside.any():
            gap = abs((predicted == labels)[inside].mean() - confidence[inside].mean())
            total += inside.mean() * gap
    return total


@exactly
@given(st.integers(2, 5), st.integers(1, 20), st.integers(0, 10_000))
def test_calibration_error_agrees_with_a_loop_and_splits_by_group(classes, bins, seed):
    rng = np.random.default_rng(seed)
    labels, groups = rng.integers(0, classes, 60), rng.integers(-1, 2, 60)
    probabilities = metrics.softmax(3 * rng.normal(size=(60, classes)))
    overall = metrics.calibration_error(labels, probabilities, bins=bins)
    assert overall == pytest.approx(error_by_hand(labels, probabilities, bins))
    by_group = metrics.calibration_error(labels, probabilities, groups, 3, bins=bins)
    for group in (0, 1):
        mine = groups == group
        assert by_group[group] == pytest.approx(error_by_hand(labels[mine], probabilities[mine], bins))
    assert np.isnan(by_group[2])


def test_a_sure_model_is_as_wrong_as_it_errs_and_logits_are_refused():
    sure = np.eye(2)[[0, 0, 1, 1]]
    assert metrics.calibration_error([0, 1, 1, 1], sure) == pytest.approx(0.25)
    assert np.isnan(metrics.calibration_error(np.zeros(0, int), np.zeros((0, 2))))
    with pytest.raises(DataError, match="softmax outputs, not logits"):
        metrics.calibration_error([0], [[3.0, -1.0]])


def test_auroc_counts_ties_as_halves_and_leaves_undefined_classes_out():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, size=200)
    prob = metrics.softmax(rng.integers(0, 3, size=(200, 3)) + np.eye(3)[labels])  # many ties
    assert metrics.auroc(labels, prob) == pytest.approx(roc_auc_score(labels, prob, multi_class="ovr"))
    wider = np.column_stack([prob, rng.random(200)])
    np.testing.assert_allclose(metrics.class_auroc(labels, wider)[:3], metrics.class_auroc(labels, prob))
    assert np.isnan(metrics.class_auroc(labels, wider)[3])
    assert metrics.auroc(labels, wider) == pytest.approx(metrics.auroc(labels, prob))
    assert np.isnan(metrics.auroc(np.zeros(5, int), np.ones((5, 3))))
    with pytest.raises(DataError, match="NaN or infinite"):
        metrics.auroc([0, 1], [[0.1, np.nan], [0.5, 0.5]])


def test_softmax_survives_large_logits():
    np.testing.assert_allclose(metrics.softmax([[1e4, 1e4, -1e4]]), [[0.5, 0.5, 0.0]])


def test_evaluate_reports_every_metric_and_what_is_undefined():
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(0, 3, 300), rng.integers(0, 2, 300)
    found = evaluate(
        Predictions(
            ids=np.arange(300).astype(str),
            labels=labels,
            groups=groups,
            logits=rng.normal(size=(300, 3)).astype(np.float32),
            class_names=("a", "b", "c"),
            group_names=("x", "y", "nobody"),
        ),
        draws=100,
        seed=0,
    )
    assert {f"{average}_{name}" for average in ("macro", "weighted") for name in ("precision", "recall", "f1")} < set(
        found["scores"]
    )
    assert set(found["disparities"]) == set(metrics.METRICS)
    assert [np.isnan(group["calibration_error"]) for group in found["groups"]] == [False, False, True]
    assert found["undefined"]["recall"] == {"undefined": 3, "of": 9}
    low, high = found["scores"]["weighted_f1"]["interval"]
    assert low <= found["scores"]["weighted_f1"]["value"] <= high


def test_variety_of_predictions_equals_scipy_and_is_nothing_for_one_class():
    table = np.random.default_rng(0).integers(1, 50, (2, 3, 3))
    true, predicted = (stats.entropy(table.sum(axis=axes)) for axes in ((0, 2), (0, 1)))
    assert prediction_variety(table) == pytest.approx(predicted / true)
    one = np.zeros((2, 3, 3), dtype=int)
    one[:, :, 1] = 5
    assert prediction_variety(np.stack([one, np.zeros_like(one)])) == pytest.approx([0.0, np.nan], nan_ok=True)
