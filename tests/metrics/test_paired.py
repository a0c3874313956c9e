"""Two models on the same rows: flips, disagreement, and every stored number of the paired vector."""

from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from sklearn.metrics import confusion_matrix

from edgefair.errors import DataError
from edgefair.metrics import class_gaps, confusion, distributions, flip_rate
from edgefair.metrics.hypothesis_tests import holm
from edgefair.metrics.intervals import newcombe, noninferiority_p
from edgefair.significance import disagreement, paired_counts

REFERENCE = Path(__file__).parents[1] / "reference"


@pytest.fixture(scope="module")
def paired():
    v = np.load(REFERENCE / "fairness_paired_one_group_hurt.npz")
    return {name: v[name] for name in v.files}


def gaps_mean_max(labels, predicted, groups, classes, num_groups):
    gaps = class_gaps(confusion(labels, predicted, groups, classes, num_groups))
    return np.array([gaps.mean(), gaps.max()])


def test_flips_and_changes_of_the_stored_pair(paired):
    v = paired
    size = int(v["out_n_classes"]), int(v["out_n_groups"])
    assert flip_rate(v["pred_ref"], v["pred_engine"]) == pytest.approx(v["out_flip_rate"], rel=1e-12)
    by_group = flip_rate(v["pred_ref"], v["pred_engine"], v["group"], size[1])
    np.testing.assert_allclose(by_group, v["out_flip_rate_by_group"], rtol=1e-12)
    counts = paired_counts(v["y_true"], v["group"], v["pred_ref"], v["pred_engine"], *size)
    _, lost, won, _ = counts.sum(axis=1).T
    np.testing.assert_array_equal(lost, v["out_lost_by_group"])
    np.testing.assert_array_equal(won, v["out_won_by_group"])
    np.testing.assert_array_equal(counts.sum(axis=(1, 2)), v["out_n_by_group"])
    change = (won - lost) / counts.sum(axis=(1, 2))
    np.testing.assert_allclose(change, v["out_accuracy_change_by_group"], rtol=1e-10)
    exact = [min(1.0, 2 * distributions.binomial_half_cdf(min(a, b), a + b)) for a, b in zip(lost, won, strict=True)]
    np.testing.assert_allclose(exact, v["out_mcnemar_exact_p"], rtol=1e-9)
    np.testing.assert_allclose(holm(exact), v["out_mcnemar_exact_holm"], rtol=1e-9)


def test_noninferiority_of_the_stored_pair(paired):
    v = paired
    rows = zip(v["out_lost_by_group"], v["out_won_by_group"], v["out_n_by_group"], strict=True)
    ours = np.array([[noninferiority_p(*row, margin) for margin in v["margins"]] for row in rows])
    stored = v["out_noninferior_p"]
    assert ours.shape == stored.shape
    np.testing.assert_allclose(ours, stored, atol=1e-10)


def test_disparities_and_their_stored_resamples(paired):
    v = paired
    size = int(v["out_n_classes"]), int(v["out_n_groups"])
    before, after = (gaps_mean_max(v["y_true"], v[name], v["group"], *size) for name in ("pred_ref", "pred_engine"))
    np.testing.assert_allclose(before, v["out_disparity_ref_mean_max"], rtol=1e-10)
    np.testing.assert_allclose(after, v["out_disparity_engine_mean_max"], rtol=1e-10)
    np.testing.assert_allclose(after - before, v["out_delta_mean_max"], atol=1e-12)
    drawn = []
    for rows in v["boot_index"].astype(int):
        ref, engine = (
            gaps_mean_max(v["y_true"][rows], v[name][rows], v["group"][rows], *size)
            for name in ("pred_ref", "pred_engine")
        )
        drawn.append(engine - ref)
    quantiles = np.quantile(drawn, (0.05, 0.5, 0.95), axis=0)
    np.testing.assert_allclose(quantiles, v["out_boot_delta_quantiles_05_50_95"], atol=1e-10)


def test_flip_rate_of_unknown_and_of_absent_groups():
    rates = flip_rate([0, 1, 1, 0], [0, 0, 1, 1], [0, 0, -1, -1], 2)
    np.testing.assert_array_equal(rates, [0.5, np.nan])
    assert flip_rate([0, 1, 1, 0], [0, 0, 1, 1]) == 0.5
    assert np.isnan(flip_rate([], []))
    with pytest.raises(DataError, match="2 predictions and 1 groups"):
        flip_rate([0, 1], [0, 1], [0], 1)


def test_disagreement_keeps_the_diagonal_apart():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 4, 200), rng.integers(0, 4, 200)
    differ, agree = disagreement(a, b, 4)
    np.testing.assert_array_equal(differ + np.diag(agree), confusion_matrix(a, b))
    assert np.trace(differ) == 0
    assert differ.sum() == (a != b).sum()


def test_newcombe_matches_the_stored_interval_and_his_published_examples():
    v = np.load(REFERENCE / "fairness_binary_2g.npz")
    ours = newcombe(v["out_tp"][0], v["out_n_pos"][0], v["out_tp"][1], v["out_n_pos"][1])
    np.testing.assert_allclose(ours, v["out_newcombe95_tpr_gap"], rtol=1e-9)
    # Newcombe 1998, table II, method 10: 56/70 - 48/80 and 9/10 - 3/10 and 10/10 - 0/10.
    for counts, published in (
        ((56, 70, 48, 80), (0.0524, 0.3339)),
        ((9, 10, 3, 10), (0.1705, 0.8090)),
        ((10, 10, 0, 10), (0.6075, 1.0)),
    ):
        np.testing.assert_allclose(newcombe(*counts), published, atol=5e-5)
    assert np.isnan(newcombe(3, 5, 0, 0)).all()


def test_newcombe_covers():
    rng = np.random.default_rng(0)
    a, b = rng.binomial(40, 0.3, 4000), rng.binomial(60, 0.1, 4000)
    low, high = newcombe(a, 40, b, 60).T
    assert 0.93 < ((low <= 0.2) & (high >= 0.2)).mean() < 0.97


def test_difference_of_multinomial_counts_has_the_exact_distribution():
    for n, lost, won in ((1, 0.2, 0.3), (12, 0.3, 0.05), (400, 0.004, 0.02)):
        values, chance = distributions.difference_pmf([n], [lost], [won])
        exact = np.zeros(2 * n + 1)
        for flips in range(n + 1):  # given the flips, won is binomial
            share = scipy.stats.binom.pmf(flips, n, lost + won)
            won_of = np.arange(flips + 1)
            np.add.at(exact, 2 * won_of - flips + n, share * scipy.stats.binom.pmf(won_of, flips, won / (lost + won)))
        ours = np.zeros(2 * n + 1)
        inside = np.abs(values[0]) <= n
        ours[values[0][inside] + n] = chance[0][inside]
        np.testing.assert_allclose(ours, exact, atol=1e-11)
        assert chance[0][~inside].sum() == 0
