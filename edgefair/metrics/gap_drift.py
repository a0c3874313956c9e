"""What changed between two models on the same rows: paired counts, the drift of recall gaps, and upper bounds.

counts [G, C, 4] = per group and true class, the rows that (both get right, the reference only, the candidate only, both
get wrong). Rows are resampled inside each (group, class) cell, as if independent; where one person is in many images,
give the rows' identities too, else the bounds are too small.
"""

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from edgefair.errors import DataError
from edgefair.metrics.cluster_bootstrap import IdentityCounts
from edgefair.metrics.distributions import difference_pmf, normal_cdf, normal_quantile
from edgefair.metrics.paired import BOTH, LOST, NEITHER, WON, paired_counts

__all__ = ["gap_drift", "gap_drift_bound", "paired_counts", "worsening_bound"]

# Half a row in each discordant cell: without it a cell that happened not to flip has no variance, and rare flips pass
# falsely in up to a third of all runs.
PSEUDO_COUNTS = np.array([0.0, 0.5, 0.5, 0.0])
Draws: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # sizes, rows both get right, lost and won


def gap_drift(counts: ArrayLike) -> np.ndarray:
    """drift_c = max_a d[a, c] - min_a d[a, c] with d = (won - lost) / n, the change of recall: [C].

    |gap_c(candidate) - gap_c(reference)| <= drift_c (reverse triangle inequality), so the mean drift bounds how much
    `mean_abs_disparity` and `deo_mean` worsened and the largest drift how much `deo_max` did. NaN where a group of the
    class has no rows.
    """
    counts = _checked(counts)
    size = counts.sum(axis=-1)  # [G, C]
    change = np.full(size.shape, np.nan)  # [G, C]
    np.divide(counts[..., WON] - counts[..., LOST], size, out=change, where=size > 0)
    drift: np.ndarray = change.max(axis=0) - change.min(axis=0)
    return drift


def gap_drift_bound(
    counts: ArrayLike,
    replicates: int,
    rng: np.random.Generator,
    quantile: float = 0.95,
    *,
    identity: IdentityCounts | None = None,
) -> tuple[float, float]:
    """Upper bounds of the mean and of the largest gap drift over classes: the `quantile` over multinomial resamples.

    replicates: how many resamples. Every cell is drawn with n rows from (counts + half a row in each discordant place)
    / (n + 1). The drift is linear in the counts, so unlike a bound of the difference of two gaps it holds where the
    reference is nearly fair. The quantile is raised a little where losses pile up on one side (`skewness_levels`).
    identity: the same rows counted by who is in them (`identity_counts`); whole identities are then drawn. Returns
    (mean_bound, max_bound) in 0 .. 2; both NaN if any cell is empty.
    """
    counts = _checked(counts)
    if (counts.sum(axis=-1) == 0).any():
        return float("nan"), float("nan")
    changes = (
        _row_changes(counts, replicates, rng) if identity is None else _identity_changes(identity, replicates, rng)
    )
    rows = 1.0 if identity is None else identity.rows_per_identity
    levels = skewness_levels(counts, quantile, rows)
    total, largest = np.zeros(replicates), np.full(replicates, -np.inf)
    for change in changes:  # [G, replicates], one class at a time keeps the draws in cache
        drift = change.max(axis=0) - change.min(axis=0)
        total += drift
        np.maximum(largest, drift, out=largest)
    return float(np.quantile(total / counts.shape[1], levels[0])), float(np.quantile(largest, levels[1]))


def skewness_levels(counts: ArrayLike, quantile: float, rows_per_identity: float = 1.0) -> np.ndarray:
    """The quantiles at which resampled mean and largest drift are read, [..., 2], for paired counts [..., G, C, 4].

    Where one group loses rows and nothing is won, the count of losses is skewed like a Poisson count: a sample with few
    losses also shows too little spread, and the plain percentile passes falsely in up to 9 % of cases. So the
    acceleration of BCa intervals (Efron 1987) is applied, a = skewness / 6 of the drift with its signs held fixed:
    Phi(a + (z + a) / (1 - a (z + a))), never below `quantile`. It vanishes as rows grow or where gains offset losses.
    Identities of r rows that act as one have sqrt(r) times the skewness.
    """
    counts = np.asarray(counts, dtype=np.float64)
    size = counts.sum(axis=-1)  # [..., G, C]
    share = (counts + PSEUDO_COUNTS) / (size[..., None] + 1)
    slope, flips = share[..., WON] - share[..., LOST], share[..., WON] + share[..., LOST]
    variance = (flips - slope**2) / size
    third = (slope - 3 * slope * flips + 2 * slope**3) / size**2  # third cumulant of the change of recall
    change = (counts[..., WON] - counts[..., LOST]) / size
    high, low = (pick(change, axis=-2)[..., None, :] for pick in (np.argmax, np.argmin))
    drift, variance, third = (  # [..., C] each
        np.take_along_axis(each, high, -2)[..., 0, :] + sign * np.take_along_axis(each, low, -2)[..., 0, :]
        for each, sign in ((change, -1), (variance, 1), (third, -1))
    )
    worst = drift.argmax(axis=-1)[..., None]
    skewed = np.stack(
        [
            third.sum(axis=-1) / variance.sum(axis=-1) ** 1.5,
            (np.take_along_axis(third, worst, -1) / np.take_along_axis(variance, worst, -1) ** 1.5)[..., 0],
        ],
        axis=-1,
    )
    a = np.clip(skewed * np.sqrt(rows_per_identity) / 6, 0, 0.2)  # [..., 2]
    z = normal_quantile(quantile)
    levels: np.ndarray = np.vectorize(normal_cdf, otypes=[float])(a + (z + a) / (1 - a * (z + a)))
    return levels


def worsening_bound(
    counts: ArrayLike,
    replicates: int,
    rng: np.random.Generator,
    quantile: float = 0.95,
    *,
    identity: IdentityCounts | None = None,
) -> float:
    """Upper bound of W = mean_c gap_c(candidate) - mean_c gap_c(reference) for a candidate that was trained anew.

    A better student moves the gaps too, so its drift is large and bounds nothing of use. W itself can be bounded if the
    bias of sample gaps is charged. With R the recalls, e their sampling errors and range = max - min over groups:

        range(R) <= E range(R + e)                (convex): overstating the candidate's gap is harmless,
        E range(R + e) <= range(R) + bias(R)      bias(R) = E range(R + e) - range(R) <= E range(e) (subadditive),
        hence  W <= E[W observed] + mean_c bias(R_ref,c)  and  E[W observed] <= W observed + swing,

    with swing = minus the (1 - quantile) quantile of W observed - E[W observed]. Errors are drawn by multinomial
    resamples of the joint counts as in `gap_drift_bound`. The bias is largest where groups are equal and fades as their
    true gap grows, so it is charged at the lowest plausible reference: recalls drawn together until their gap is the
    sample gap less the 95 % quantile of range(e), or 0. The swing is the larger of those at that reference and at the
    sample, for near the kink at 0 a resample around the sample alone is too narrow. Own derivation; approximate, with
    the false-pass rate checked by simulation (tests). identity as in `gap_drift_bound`. NaN if any cell is empty.
    """
    counts = _checked(counts)
    if (counts.sum(axis=-1) == 0).any():
        return float("nan")
    observed, bias = 0.0, 0.0
    at_sample, at_lowest = np.zeros(replicates), np.zeros(replicates)  # resampled W, summed over classes
    draws = _row_draws(counts, replicates, rng) if identity is None else _identity_draws(identity, replicates, rng)
    for cell, (size, both, lost, won) in zip(counts.transpose(1, 0, 2), draws, strict=True):  # [G, 4], [G, replicates]
        error_ref, error_cand = _centred((both + lost) / size), _centred((both + won) / size)  # [G, replicates]
        share = cell / cell.sum(axis=-1, keepdims=True)  # [G, 4]
        recall_ref, recall_cand = share[:, [BOTH, LOST]].sum(axis=1), share[:, [BOTH, WON]].sum(axis=1)  # [G]
        lowest = _closer(recall_ref, np.quantile(np.ptp(error_ref, axis=0), 0.95))
        observed += np.ptp(recall_cand) - np.ptp(recall_ref)
        bias += np.ptp(lowest[:, None] + error_ref, axis=0).mean() - np.ptp(lowest)
        for resampled, shift in ((at_sample, 0.0), (at_lowest, lowest - recall_ref)):
            resampled += np.ptp((recall_cand + shift)[:, None] + error_cand, axis=0)
            resampled -= np.ptp((recall_ref + shift)[:, None] + error_ref, axis=0)
    swing = max(-np.quantile(_centred(resampled), 1 - quantile) for resampled in (at_sample, at_lowest))
    return float((observed + bias + swing) / counts.shape[1])


def _centred(draws: np.ndarray) -> np.ndarray:
    centred: np.ndarray = draws - draws.mean(axis=-1, keepdims=True)
    return centred


def _closer(rates: np.ndarray, amount: float) -> np.ndarray:
    """Draw rates [G] together around their mean until max - min is smaller by `amount`, or 0."""
    gap = np.ptp(rates)
    middle = rates.mean()
    closer: np.ndarray = middle + (rates - middle) * (max(0.0, gap - amount) / gap if gap > 0 else 0.0)
    return closer


def _checked(counts: ArrayLike) -> np.ndarray:
    counts = np.asarray(counts)
    if counts.ndim != 3 or counts.shape[-1] != 4 or counts.shape[0] < 2:
        raise DataError(
            f"paired counts have shape {counts.shape}; [groups >= 2, classes, 4] is needed, as paired_counts makes it."
        )
    return counts


def _row_draws(counts: np.ndarray, replicates: int, rng: np.random.Generator) -> Iterator[Draws]:
    """For each class: size [G, 1], then rows both get right, lost and won, int64 [G, replicates] each.

    A multinomial as nested binomials; the flips come first because they are few, which makes them cheap to draw.
    """
    for cell in counts.transpose(1, 0, 2):  # [G, 4]
        size = cell.sum(axis=-1, keepdims=True)  # [G, 1]
        share = (cell + PSEUDO_COUNTS) / (size + 1)
        flip_share = share[:, LOST] + share[:, WON]
        flips = rng.binomial(size, flip_share[:, None], size=(len(cell), replicates))
        won = rng.binomial(flips, (share[:, WON] / flip_share)[:, None])
        same = cell[:, BOTH] + cell[:, NEITHER]
        both = rng.binomial(size - flips, (cell[:, BOTH] / np.maximum(same, 1))[:, None])
        yield size, both, flips - won, won


def _identity_draws(identity: IdentityCounts, replicates: int, rng: np.random.Generator) -> Iterator[Draws]:
    for cell in identity.draw(replicates, rng):  # [G, 4, replicates]
        yield _sizes(cell), cell[:, BOTH], cell[:, LOST], cell[:, WON]


def _sizes(cell: np.ndarray) -> np.ndarray:
    """Rows drawn, [G, replicates]; NaN where nobody of a cell was drawn, which leaves the bound undefined."""
    size = cell.sum(axis=1)
    return np.where(size > 0, size, np.nan)


def resampled_changes(cells: np.ndarray, replicates: int, rng: np.random.Generator) -> np.ndarray:
    """The resampled change of recall (won - lost) / n of cells [K, 4] with rows: float64 [K, replicates].

    How often each value comes up in all replicates is one multinomial draw; shuffled, that is the same as drawing every
    replicate by itself, at a fraction of the price. Equal cells are drawn together.
    """
    kinds, kind, uses = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    size = kinds.sum(axis=-1)  # [kinds]
    share = (kinds + PSEUDO_COUNTS) / (size[:, None] + 1)
    values, chance = difference_pmf(size, share[:, LOST], share[:, WON])  # [kinds, N] each
    changes = np.empty((len(cells), replicates))
    order = np.argsort(kind.ravel(), kind="stable")
    for index, (often, end) in enumerate(zip(rng.multinomial(uses * replicates, chance), uses.cumsum(), strict=True)):
        drawn = np.repeat(values[index], often)  # [uses * replicates]
        rng.shuffle(drawn)
        changes[order[end - uses[index] : end]] = (drawn / size[index]).reshape(-1, replicates)
    return changes


def _row_changes(counts: np.ndarray, replicates: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    for cell in counts.transpose(1, 0, 2):  # [G, 4]
        yield resampled_changes(cell, replicates, rng)  # [G, replicates]


def _identity_changes(identity: IdentityCounts, replicates: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    for cell in identity.draw(replicates, rng):  # [G, 4, replicates]
        yield (cell[:, WON] - cell[:, LOST]) / _sizes(cell)
