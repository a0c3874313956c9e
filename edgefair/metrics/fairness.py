"""How unequal predictions are: functions of one integer table, confusion [G, C, C] = [group, true, predicted].

All functions take any number of leading batch axes ([..., G, C, C]), so a thousand resampled tables cost one call.
An undefined rate (no rows to count) is NaN, never 0, and NaN is kept by every mean and maximum built on it;
`missing_cells` names what made it so. Rates lie in 0 .. 1; multiply by 100 for points.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from edgefair.metrics.confusion_matrix import (
    false_positive_rate,
    recall,
    selection_rate,
)
from edgefair.metrics.performance import (
    group_accuracy,
)


def class_gaps(confusion: ArrayLike) -> np.ndarray:
    """max_a R[a, c] - min_a R[a, c] over the groups with rows: [..., C], NaN under two such groups."""
    return _range_over_groups(recall(confusion))


def defined_groups(confusion: ArrayLike) -> np.ndarray:
    """How many groups have rows of each class, int [..., C]: the count behind `class_gaps`."""
    count: np.ndarray = (np.asarray(confusion).sum(axis=-1) > 0).sum(axis=-2)
    return count


def signed_disparity(confusion: ArrayLike) -> np.ndarray:
    """R[0, c] - R[1, c] for two groups, sign kept: [..., C] (Bang et al., table 6).

    Raises ValueError for any other number of groups, where one sign says nothing; see `extreme_groups`.
    """
    rates = recall(confusion)  # [..., G, C]
    if rates.shape[-2] != 2:
        raise ValueError(f"signed_disparity needs two groups, got {rates.shape[-2]}; use class_gaps, extreme_groups.")
    signed: np.ndarray = rates[..., 0, :] - rates[..., 1, :]
    return signed


def extreme_groups(confusion: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The groups of highest and of lowest recall per class, int [..., C] each; -1 under two groups with rows."""
    rates = recall(confusion)  # [..., G, C]
    undefined = (~np.isnan(rates)).sum(axis=-2) < 2
    best = np.where(np.isnan(rates), -np.inf, rates).argmax(axis=-2)
    worst = np.where(np.isnan(rates), np.inf, rates).argmin(axis=-2)
    return np.where(undefined, -1, best), np.where(undefined, -1, worst)


def mean_abs_disparity(confusion: ArrayLike) -> float | np.ndarray:
    """mean_c |R[0, c] - R[1, c]| (Bang et al., section 2); max - min over groups where there are more than two.

    A class that both groups always miss has gap 0 and counts; a class without rows makes the mean NaN.
    """
    mean: float | np.ndarray = class_gaps(confusion).mean(axis=-1)
    return mean


def deo_mean(confusion: ArrayLike) -> float | np.ndarray:
    """Mean over classes of the recall gap (Jung et al. 2021; BIRD, A.1): the same number as `mean_abs_disparity`."""
    return mean_abs_disparity(confusion)


def deo_max(confusion: ArrayLike) -> float | np.ndarray:
    """Largest recall gap of any class (Jung et al. 2021; BIRD, A.1); NaN as soon as one class has no defined gap."""
    largest: float | np.ndarray = class_gaps(confusion).max(axis=-1)
    return largest


def demographic_parity_difference(confusion: ArrayLike, *, agg: str = "max") -> float | np.ndarray:
    """max - min over groups of P(prediction = c | group), for class 1 of two, else the "max" or "mean" over classes."""
    return _over_classes(_range_over_groups(selection_rate(confusion)), agg)


def equalized_odds_difference(confusion: ArrayLike, *, agg: str = "max", rates: str = "worst") -> float | np.ndarray:
    """The larger ("worst") or the mean of the gaps of true and false positive rate, per class against the rest.

    For class 1 of two, else the "max" or "mean" over classes. With C classes a false positive rate is about 1/C, so
    for many classes this is the recall gap under another name.
    """
    true_positive_gap = class_gaps(confusion)
    false_positive_gap = _range_over_groups(false_positive_rate(confusion))
    if rates == "worst":
        gaps = np.maximum(true_positive_gap, false_positive_gap)
    elif rates == "mean":
        gaps = (true_positive_gap + false_positive_gap) / 2
    else:
        raise ValueError(f"rates is '{rates}'; allowed are 'worst' and 'mean'.")
    return _over_classes(gaps, agg)


def accuracy_gap(confusion: ArrayLike) -> float | np.ndarray:
    """Highest minus lowest group accuracy over the groups with rows; NaN under two such groups."""
    gap: float | np.ndarray = _range_over_groups(group_accuracy(confusion)[..., None]).max(axis=-1)
    return gap


METRICS: dict[str, Callable[[ArrayLike], float | np.ndarray]] = {
    "mean_abs_disparity": mean_abs_disparity,
    "deo_mean": deo_mean,
    "deo_max": deo_max,
    "demographic_parity_difference": demographic_parity_difference,
    "demographic_parity_difference_mean": partial(demographic_parity_difference, agg="mean"),
    "equalized_odds_difference": equalized_odds_difference,
    "equalized_odds_difference_mean": partial(equalized_odds_difference, agg="mean"),
    "accuracy_gap": accuracy_gap,
}


def _range_over_groups(rates: np.ndarray) -> np.ndarray:
    """max - min over the group axis of rates [..., G, C], NaN left out; NaN under two defined rates."""
    undefined = np.isnan(rates)
    high = np.where(undefined, -np.inf, rates).max(axis=-2)
    low = np.where(undefined, np.inf, rates).min(axis=-2)
    spread: np.ndarray = np.subtract(high, low, out=np.full(high.shape, np.nan), where=(~undefined).sum(axis=-2) >= 2)
    return spread


def _over_classes(gaps: np.ndarray, agg: str) -> float | np.ndarray:
    if agg not in ("max", "mean"):
        raise ValueError(f"agg is '{agg}'; allowed are 'max' and 'mean'.")
    if gaps.shape[-1] == 2:
        gaps = gaps[..., 1:]  # class 1 alone
    value: float | np.ndarray = gaps.max(axis=-1) if agg == "max" else gaps.mean(axis=-1)
    return value
