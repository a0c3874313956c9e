"""Drift of recall gaps and the two upper bounds that the gate passes on."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefair.errors import DataError
from edgefair.metrics.gap_drift import skewness_levels
from edgefair.metrics.power import drift_bounds
from edgefair.significance import gap_drift, gap_drift_bound, paired_counts, worsening_bound

REFERENCE = Path(__file__).parents[1] / "reference"
GATES = ["int8_like", "group_hurt"]


def gaps(counts):
    """Mean recall gap of the reference and of the candidate, from paired counts [G, C, 4]."""
    size = counts.sum(axis=-1)
    recalls = (counts[..., 0] + counts[..., 1]) / size, (counts[..., 0] + counts[..., 2]) / size
    return [np.ptp(rates, axis=0).mean() for rates in recalls]


@pytest.mark.parametrize("name", GATES)
def test_gate_vectors(name):
    v = np.load(REFERENCE / f"fairness_gate_{name}.npz")
    counts = paired_counts(v["y_true"], v["group"], v["pred_ref"], v["pred_engine"], 8, 2)
    assert counts.dtype == np.int64
    np.testing.assert_array_equal(counts, v["counts"])
    drift = gap_drift(counts)
    np.testing.assert_allclose(drift, v["out_drift_per_class"], rtol=1e-12)
    np.testing.assert_allclose([drift.mean(), drift.max()], [v["out_mean_drift"], v["out_max_drift"]], rtol=1e-12)
    stored = np.array([gap_drift(drawn) for drawn in v["boot_counts"]])  # [1000, C]
    assert np.quantile(stored.mean(axis=1), 0.95) == pytest.approx(v["out_mean_drift_ucb95"], rel=1e-12)
    assert np.quantile(stored.max(axis=1), 0.95) == pytest.approx(v["out_max_drift_ucb95"], rel=1e-12)
    mean_bound, max_bound = gap_drift_bound(counts, 4000, np.random.default_rng(0))
    assert mean_bound == pytest.approx(v["out_mean_drift_ucb95"], rel=0.05)
    assert max_bound == pytest.approx(v["out_max_drift_ucb95"], rel=0.05)


def test_rows_of_unknown_group_are_left_out_and_bad_ids_refused():
    counts = paired_counts([0, 0, 1, 1], [0, -1, 1, 1], [0, 0, 1, 0], [1, 0, 1, 0], 2, 2)
    np.testing.assert_array_equal(counts, [[[0, 1, 0, 0], [0, 0, 0, 0]], [[0, 0, 0, 0], [1, 0, 0, 1]]])
    with pytest.raises(DataError, match="predicted class 2 in row 0"):
        paired_counts([0], [0], [0], [2], 2, 2)
    with pytest.raises(DataError, match=r"shape \(1, 2, 4\)"):
        gap_drift(counts[:1])


def test_an_empty_cell_makes_its_class_and_every_bound_undefined():
    counts = np.full((3, 2, 4), 10)
    counts[1, 0] = 0
    np.testing.assert_array_equal(np.isnan(gap_drift(counts)), [True, False])
    assert np.isnan(gap_drift_bound(counts, 100, np.random.default_rng(0))).all()
    assert np.isnan(worsening_bound(counts, 100, np.random.default_rng(0)))


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.integers(2, 5), st.integers(1, 5), st.integers(0, 10_000))
def test_drift_bounds_the_worsening_of_every_class(groups, classes, seed):
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 30, size=(groups, classes, 4)) + np.eye(4, dtype=int)[rng.integers(0, 4)]
    size = counts.sum(axis=-1)
    before, after = ((counts[..., 0] + counts[..., right]) / size for right in (1, 2))
    change = np.abs(np.ptp(after, axis=0) - np.ptp(before, axis=0))  # [C]
    assert (change <= gap_drift(counts) + 1e-12).all()


@pytest.mark.parametrize("bound", [gap_drift_bound, worsening_bound])
def test_no_flip_at_all_still_leaves_doubt_that_rows_remove(bound):
    few, many = (np.broadcast_to([m - m // 4, 0, 0, m // 4], (2, 8, 4)) for m in (40, 4000))
    loose, tight = (np.max(bound(counts, 1000, np.random.default_rng(0))) for counts in (few, many))
    assert 0 < tight < loose
    # A cell with every row flipped, and one with every row right, are legal too.
    extreme = np.array([[[0, 20, 0, 0]], [[20, 0, 0, 0]]])
    assert 0.7 < np.max(bound(extreme, 1000, np.random.default_rng(0))) <= 1.5


def test_draws_are_multinomial_around_the_counts_with_half_pseudo_counts():
    """The bound of a one-class table equals that of NumPy's own multinomial."""
    counts = np.array([[[150, 12, 3, 35]], [[300, 2, 0, 98]]])
    rng = np.random.default_rng(5)
    drawn = []
    for cell in counts[:, 0]:
        draws = rng.multinomial(cell.sum(), (cell + np.array([0, 0.5, 0.5, 0])) / (cell.sum() + 1), size=20_000)
        drawn.append((draws[:, 2] - draws[:, 1]) / cell.sum())
    levels = [skewness_levels(counts, level)[0] for level in (0.5, 0.9, 0.99)]
    expected = np.quantile(np.ptp(drawn, axis=0), levels)
    ours = [gap_drift_bound(counts, 20_000, np.random.default_rng(1), level)[0] for level in (0.5, 0.9, 0.99)]
    np.testing.assert_allclose(ours, expected, rtol=0.03)


def test_the_quantile_is_raised_only_where_losses_are_one_sided_and_few():
    size, even = 400, [380, 10, 10, 0]
    assert skewness_levels(np.full((2, 3, 4), even), 0.95) == pytest.approx(0.95)
    assert skewness_levels(np.full((2, 3, 4), [size, 0, 0, 0]), 0.95) == pytest.approx(0.95)
    hurt = np.array([[[size - lost, lost, 0, 0]] * 3 for lost in (8, 0)])
    few, many = skewness_levels(hurt, 0.95), skewness_levels(50 * hurt, 0.95)
    assert (few > many).all()
    assert (many > 0.95).all()
    assert few[0] < few[1]  # one class alone is more skewed than the mean of three
    assert (skewness_levels(hurt, 0.95, rows_per_identity=9) > few).all()
    np.testing.assert_allclose(skewness_levels(hurt[::-1], 0.95), few)  # whichever group it is
    np.testing.assert_allclose(skewness_levels(hurt[..., [0, 2, 1, 3]], 0.95), few)  # gains part groups as losses do


@pytest.mark.parametrize(
    ("classes", "rows", "lost", "tolerance"),
    [(2, 1000, 0.02, 0.02), (2, 500, 0.02, 0.02), (2, 2000, 0.05, 0.05)],
)
def test_drift_bound_seldom_passes_a_candidate_at_the_tolerance(classes, rows, lost, tolerance):
    """Group 0 loses the tolerance in every class. Nominal 5 %; the plain percentile passes in 7 to 9 %."""
    share = np.zeros((2, classes, 4))
    share[0], share[1] = (0.8 - lost, lost, 0, 0.2), (0.8, 0, 0, 0.2)
    rng = np.random.default_rng(0)
    tables = rng.multinomial(rows, share, size=(1500, 2, classes))
    assert (drift_bounds(tables, 150, rng)[:, 0] <= tolerance + 1e-12).mean() <= 0.07


def shares(classes: int, before: float, after: float, flips: float) -> np.ndarray:
    """Cell probabilities [2, C, 4] with recall gap `before` in the reference and `after` in the candidate."""
    side = np.array([[0.5], [-0.5]]) * np.where(np.arange(classes) % 2, 1, -1)  # [2, C], the favoured group alternates
    change = side * (after - before)
    won = np.maximum((flips + change) / 2, np.maximum(change, 0))
    lost = won - change
    both = 0.75 + side * before - lost
    return np.stack([both, lost, won, 1 - both - lost - won], axis=-1)


def share_of_passes(share: np.ndarray, rows: int, tolerance: float, runs: int) -> float:
    rng = np.random.default_rng(11)
    tables = rng.multinomial(rows, share, size=(runs, *share.shape[:2]))  # [runs, 2, C, 4]
    return np.mean([worsening_bound(counts, 300, rng) <= tolerance for counts in tables])


@pytest.mark.parametrize(
    ("classes", "rows", "flips", "before"),
    [(2, 2000, 0.02, 0.0), (2, 2000, 0.02, 0.1), (10, 2000, 0.1, 0.0), (10, 400, 0.1, 0.0), (10, 400, 0.1, 0.1)],
)
@pytest.mark.slow
def test_worsening_bound_seldom_passes_a_model_that_is_worse_by_the_tolerance(classes, rows, flips, before):
    """Nominal 5 %; two standard errors of 300 runs are 2.5 points."""
    assert share_of_passes(shares(classes, before, before + 0.02, flips), rows, 0.02, runs=300) <= 0.075


def test_worsening_bound_passes_a_student_that_halves_the_gap_where_drift_cannot():
    better = shares(10, 0.10, 0.05, 0.1)
    assert share_of_passes(better, 400, 0.02, runs=100) >= 0.95
    counts = np.random.default_rng(0).multinomial(400, better)
    before, after = gaps(counts)
    assert after < before
    assert gap_drift_bound(counts, 1000, np.random.default_rng(0))[0] > 0.04
