"""Noise floor, intervals and tests of change, against stored numbers and SciPy."""

import math
from pathlib import Path

import numpy as np
import pytest
import scipy.special
import scipy.stats

from edgefair.metrics import METRICS, confusion, distributions, mean_abs_disparity
from edgefair.metrics.hypothesis_tests import class_bias, holm, mcnemar_midp, welch_class_bias
from edgefair.metrics.intervals import paired_change_interval, wilson
from edgefair.metrics.noise_floor import noise_floor, permuted_tables

REFERENCE = Path(__file__).parents[1] / "reference"


@pytest.fixture(scope="module")
def floor_vector():
    v = np.load(REFERENCE / "fairness_noise_floor.npz")
    return {name: v[name] for name in v.files}


def test_noise_floor_of_the_stored_permutations_is_exact(floor_vector):
    v = floor_vector
    size = int(v["y_true"].max()) + 1, int(v["group"].max()) + 1
    observed = mean_abs_disparity(confusion(v["y_true"], v["y_pred"], v["group"], *size))
    tables = np.stack(
        [confusion(v["y_true"], v["y_pred"], v["group"][order.astype(int)], *size) for order in v["perm_index"]]
    )
    chance = mean_abs_disparity(tables)
    assert observed == pytest.approx(v["out_mean_abs_disparity"], rel=1e-12)
    assert chance.mean() == pytest.approx(v["out_floor_mean"], rel=1e-12)
    assert np.quantile(chance, 0.95) == pytest.approx(v["out_floor_q95"], rel=1e-12)
    assert ((chance >= observed - 1e-12).sum() + 1) / (len(chance) + 1) == pytest.approx(v["out_perm_p"], rel=1e-12)


def test_noise_floor_from_counts_agrees_within_monte_carlo_error(floor_vector):
    v = floor_vector
    table = confusion(v["y_true"], v["y_pred"], v["group"], int(v["y_true"].max()) + 1, int(v["group"].max()) + 1)
    floor = noise_floor(table, "mean_abs_disparity", 4000, np.random.default_rng(0))
    assert floor.observed == pytest.approx(v["out_mean_abs_disparity"], rel=1e-12)
    assert floor.mean == pytest.approx(v["out_floor_mean"], abs=0.003)
    assert floor.q95 == pytest.approx(v["out_floor_q95"], abs=0.006)
    assert floor.p_value == pytest.approx(v["out_perm_p"], abs=0.03)
    assert floor == noise_floor(table, METRICS["mean_abs_disparity"], 4000, np.random.default_rng(0))


def test_permuted_tables_keep_both_margins_and_have_the_right_mean():
    table = np.random.default_rng(2).integers(0, 9, size=(3, 4, 4))
    drawn = permuted_tables(table, 4000, np.random.default_rng(0))
    assert drawn.min() >= 0
    np.testing.assert_array_equal(drawn.sum(axis=1), np.broadcast_to(table.sum(axis=0), (4000, 4, 4)))
    np.testing.assert_array_equal(drawn.sum(axis=-1), np.broadcast_to(table.sum(axis=-1), (4000, 3, 4)))
    support, total = table.sum(axis=-1), table.sum(axis=0)
    expected = support[:, :, None] * total / np.maximum(total.sum(axis=-1), 1)[:, None]
    np.testing.assert_allclose(drawn.mean(axis=0), expected, atol=0.15)


def test_noise_floor_of_an_undefined_metric_is_undefined():
    floor = noise_floor(np.array([[[3, 1], [0, 0]], [[2, 2], [1, 3]]]), "deo_max", 10, np.random.default_rng(0))
    assert all(math.isnan(value) for value in floor)


def test_wilson_matches_stored_and_scipy_intervals():
    v = np.load(REFERENCE / "fairness_binary_4g_small.npz")
    np.testing.assert_allclose(wilson(v["out_tp"], v["out_n_pos"]), v["out_wilson95_tpr"], rtol=1e-9)
    theirs = scipy.stats.binomtest(3, 40).proportion_ci(0.9, method="wilson")
    np.testing.assert_allclose(wilson(3, 40, 0.9), theirs, rtol=1e-9)
    assert np.isnan(wilson(0, 0)).all()


def test_holm_vector_and_undefined_tests():
    v = np.load(REFERENCE / "fairness_holm.npz")
    np.testing.assert_allclose(holm(v["p"]), v["out_holm"], rtol=1e-12)
    order = np.random.default_rng(0).permutation(len(v["p"]))
    np.testing.assert_allclose(holm(v["p"][order]), v["out_holm"][order], rtol=1e-12)
    np.testing.assert_allclose(holm([0.01, np.nan, 0.02]), [0.03, np.nan, 0.04])


def test_welch_vectors():
    v = np.load(REFERENCE / "fairness_welch_class_accuracy.npz")
    test = welch_class_bias(v["acc_a"], v["acc_a"].mean(axis=1), v["acc_b"], v["acc_b"].mean(axis=1))
    np.testing.assert_allclose(test.t, v["out_t"], rtol=1e-9)
    np.testing.assert_allclose(test.dof, v["out_df"], rtol=1e-9)
    np.testing.assert_allclose(test.p, v["out_p"], rtol=1e-9)
    np.testing.assert_allclose(holm(test.p), v["out_p_holm"], rtol=1e-9)

    v = np.load(REFERENCE / "welch_derived.npz")
    test = welch_class_bias(v["class_acc_model_b"], v["overall_b"], v["class_acc_model_a"], v["overall_a"])
    np.testing.assert_allclose(test.t, v["t_stat"], rtol=1e-9)
    np.testing.assert_allclose(test.p, v["p_value"], rtol=1e-9)
    assert (test.p < 0.05).sum() == v["num_significant"]


def test_class_bias_counts_raw_and_holm():
    v = np.load(REFERENCE / "fairness_welch_class_accuracy.npz")
    found = class_bias(v["acc_a"], v["acc_a"].mean(axis=1), v["acc_b"], v["acc_b"].mean(axis=1))
    counts = int(v["out_n_significant_raw"]), int(v["out_n_significant_holm"])
    assert (found.raw_count, found.holm_count, found.undefined_count) == (*counts, 0)
    np.testing.assert_allclose(found.holm_p, v["out_p_holm"], rtol=1e-9)


def test_class_bias_over_many_equal_classes_is_raw_noise_that_holm_removes():
    rng = np.random.default_rng(0)
    teacher, distilled = (0.8 + 0.01 * rng.normal(size=(seeds, 1000)) for seeds in (5, 7))
    found = class_bias(teacher, teacher.mean(axis=1), distilled, distilled.mean(axis=1))
    assert 25 < found.raw_count < 80  # about 50 of 1,000
    assert found.holm_count == 0
    distilled[:, 3] -= 0.4
    again = class_bias(teacher, teacher.mean(axis=1), distilled, distilled.mean(axis=1))
    assert np.flatnonzero(again.holm_p < 0.05).tolist() == [3]
    one_seed = class_bias(teacher[:1], teacher[:1].mean(axis=1), distilled, distilled.mean(axis=1))
    assert (one_seed.raw_count, one_seed.holm_count, one_seed.undefined_count) == (0, 0, 1000)


def test_welch_holm_and_mcnemar_agree_with_independent_code():
    rng = np.random.default_rng(1)
    a, b, overall_a, overall_b = rng.random((4, 9)), rng.random((6, 9)), rng.random(4) + 0.5, rng.random(6) + 0.5
    theirs = scipy.stats.ttest_ind(a / overall_a[:, None], b / overall_b[:, None], equal_var=False)
    ours = welch_class_bias(a, overall_a, b, overall_b)
    np.testing.assert_allclose(ours.t, theirs.statistic, rtol=1e-10)
    np.testing.assert_allclose(ours.p, theirs.pvalue, rtol=1e-9)
    p = rng.random(12) ** 3
    for index, adjusted in enumerate(holm(p)):  # the largest (number of p at least as large) x p among smaller p
        by_hand = max(((p >= q).sum() * q for q in p[p <= p[index]]), default=0)
        assert adjusted == pytest.approx(min(1, by_hand))
    for lost, won in ((0, 5), (3, 3), (12, 4), (40, 61)):
        least, flips = min(lost, won), lost + won
        middle = scipy.stats.binom.pmf(least, flips, 0.5)
        expected = 1.0 if lost == won else scipy.stats.binomtest(least, flips).pvalue - middle
        assert mcnemar_midp(lost, won) == pytest.approx(expected)


def test_welch_without_variance_or_with_one_seed_is_undefined():
    a, b = np.array([[0.9, 0.5], [0.45, 0.4], [0.3, 0.1]]), np.array([[0.8, 0.2], [0.4, 0.3], [0.6, 0.1]])
    overall_a, overall_b = np.array([0.9, 0.45, 0.3]), np.array([0.8, 0.4, 0.6])  # class 0: ratio 1 for every seed
    test = welch_class_bias(a, overall_a, b, overall_b)
    np.testing.assert_array_equal(np.isnan(test.p), [True, False])
    assert np.isnan(welch_class_bias(a[:1], overall_a[:1], b, overall_b).p).all()
    assert np.isnan(welch_class_bias(a, np.zeros(3), b, overall_b).p).all()


def test_mcnemar_and_tango_vectors():
    v = np.load(REFERENCE / "fairness_paired_one_group_hurt.npz")
    rows = zip(v["out_lost_by_group"], v["out_won_by_group"], v["out_n_by_group"], strict=True)
    for index, (lost, won, n) in enumerate(rows):
        assert mcnemar_midp(lost, won) == pytest.approx(v["out_mcnemar_midp"][index], rel=1e-9)
        np.testing.assert_allclose(paired_change_interval(lost, won, n, 0.90), v["out_tango90"][index], atol=1e-10)
        np.testing.assert_allclose(paired_change_interval(lost, won, n, 0.95), v["out_tango95"][index], atol=1e-10)


def test_tango_published_table_and_no_flips():
    np.testing.assert_allclose(paired_change_interval(7, 1, 21), (-0.517, -0.026), atol=5e-4)
    z = scipy.stats.norm.ppf(0.95)
    np.testing.assert_allclose(paired_change_interval(0, 0, 100, 0.9)[0], -z * z / (100 + z * z), rtol=1e-9)
    assert np.isnan(paired_change_interval(0, 0, 0)).all()
    assert mcnemar_midp(0, 0) == 1.0


def test_distributions_agree_with_scipy():
    rng = np.random.default_rng(0)
    for a, b, x in zip(rng.uniform(0.3, 60, 200), rng.uniform(0.3, 60, 200), rng.random(200), strict=True):
        assert distributions.regularised_beta(a, b, x) == pytest.approx(scipy.special.betainc(a, b, x), abs=1e-12)
    for t in (0.0, 0.01, -0.5, 2.0, 30.0, 1e6):
        for dof in (1.0, 2.5, 8.0, 300.0, 1e5):
            assert distributions.student_t_p(t, dof) == pytest.approx(2 * scipy.stats.t.sf(abs(t), dof), abs=1e-10)
    assert distributions.student_t_p(1e-8, 1.0) == pytest.approx(1 - 2 * math.atan(1e-8) / math.pi, abs=1e-15)
    for n in (1, 10, 5001):
        for k in (0, 1, n // 2, n):
            assert distributions.binomial_half_cdf(k, n) == pytest.approx(scipy.stats.binom.cdf(k, n, 0.5), abs=1e-10)
            assert distributions.binomial_half_pmf(k, n) == pytest.approx(scipy.stats.binom.pmf(k, n, 0.5), abs=1e-10)
    assert math.isnan(distributions.student_t_p(math.nan, 3.0))
