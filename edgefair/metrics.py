"""Fairness and accuracy metrics, each a function of one integer table: confusion [G, C, C] = [group, true, predicted].

All functions take any number of leading batch axes ([..., G, C, C]), so a thousand resampled tables cost one call.
An undefined rate (no rows to count) is NaN, never 0, and NaN is kept by every mean and maximum built on it;
`missing_cells` names what made it so. Rates lie in 0 .. 1; multiply by 100 for points.
"""

import numpy as np

from edgefair.errors import DataError


def confusion(y_true, y_pred, group, num_classes: int, num_groups: int) -> np.ndarray:
    """Count rows by group, true class and predicted class: int64 [G, C, C].

    y_true, y_pred  [N] int, 0 .. num_classes - 1
    group           [N] int, 0 .. num_groups - 1, or -1 where unknown; rows of unknown group are left out
    Raises DataError where a value is outside its range, is not an integer, or the lengths differ.
    """
    y_true = _ids("true class", y_true, 0, num_classes)
    y_pred = _ids("predicted class", y_pred, 0, num_classes)
    group = _ids("group", group, -1, num_groups)
    if not len(y_true) == len(y_pred) == len(group):
        raise DataError(
            f"confusion: {len(y_true)} true classes, {len(y_pred)} predicted classes and {len(group)} groups; "
            "every row needs one of each."
        )
    known = group >= 0
    cell = (group[known] * num_classes + y_true[known]) * num_classes + y_pred[known]
    counts = np.bincount(cell, minlength=num_groups * num_classes**2)  # [G * C * C]
    return counts.reshape(num_groups, num_classes, num_classes).astype(np.int64)


def missing_cells(confusion) -> list[tuple[int, int]]:
    """The (group, true class) pairs without a row, for one table [G, C, C]; each makes some rate undefined."""
    support = np.asarray(confusion).sum(axis=-1)  # [G, C]
    return [(int(group), int(label)) for group, label in np.argwhere(support == 0)]


def recall(confusion) -> np.ndarray:
    """R[a, c] = share of the rows of group a and class c that are predicted as c: [..., G, C], NaN without rows."""
    confusion = np.asarray(confusion)
    return _divide(np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(axis=-1))


def class_gaps(confusion) -> np.ndarray:
    """max_a R[a, c] - min_a R[a, c] over the groups with rows: [..., C], NaN under two such groups."""
    return _range_over_groups(recall(confusion))


def signed_disparity(confusion) -> np.ndarray:
    """R[0, c] - R[1, c] for two groups, sign kept: [..., C] (Bang et al., table 6).

    Raises ValueError for any other number of groups, where one sign says nothing; see `extreme_groups`.
    """
    rates = recall(confusion)  # [..., G, C]
    if rates.shape[-2] != 2:
        raise ValueError(f"signed_disparity needs two groups, got {rates.shape[-2]}; use class_gaps, extreme_groups.")
    return rates[..., 0, :] - rates[..., 1, :]


def extreme_groups(confusion) -> tuple[np.ndarray, np.ndarray]:
    """The groups of highest and of lowest recall per class, int [..., C] each; -1 under two groups with rows."""
    rates = recall(confusion)  # [..., G, C]
    undefined = (~np.isnan(rates)).sum(axis=-2) < 2
    best = np.where(np.isnan(rates), -np.inf, rates).argmax(axis=-2)
    worst = np.where(np.isnan(rates), np.inf, rates).argmin(axis=-2)
    return np.where(undefined, -1, best), np.where(undefined, -1, worst)


def mean_abs_disparity(confusion):
    """mean_c |R[0, c] - R[1, c]| (Bang et al., section 2); max - min over groups where there are more than two.

    A class that both groups always miss has gap 0 and counts; a class without rows makes the mean NaN.
    """
    return class_gaps(confusion).mean(axis=-1)


def deo_mean(confusion):
    """Mean over classes of the recall gap (Jung et al. 2021; BIRD, A.1): the same number as `mean_abs_disparity`."""
    return class_gaps(confusion).mean(axis=-1)


def deo_max(confusion):
    """Largest recall gap of any class (Jung et al. 2021; BIRD, A.1); NaN as soon as one class has no defined gap."""
    return class_gaps(confusion).max(axis=-1)


def demographic_parity_difference(confusion, *, agg: str = "max"):
    """max - min over groups of P(prediction = c | group), for class 1 of two, else the "max" or "mean" over classes."""
    confusion = np.asarray(confusion)
    predicted = confusion.sum(axis=-2)  # [..., G, C]
    rates = _divide(predicted, predicted.sum(axis=-1, keepdims=True))
    return _over_classes(_range_over_groups(rates), agg)


def equalized_odds_difference(confusion, *, agg: str = "max", rates: str = "worst"):
    """The larger ("worst") or the mean of the gaps of true and false positive rate, per class against the rest.

    For class 1 of two, else the "max" or "mean" over classes. With C classes a false positive rate is about 1/C, so
    for many classes this is the recall gap under another name.
    """
    confusion = np.asarray(confusion)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)  # [..., G, C]
    support = confusion.sum(axis=-1)
    negatives = support.sum(axis=-1, keepdims=True) - support
    true_positive_gap = _range_over_groups(_divide(hits, support))
    false_positive_gap = _range_over_groups(_divide(confusion.sum(axis=-2) - hits, negatives))
    if rates == "worst":
        gaps = np.maximum(true_positive_gap, false_positive_gap)
    elif rates == "mean":
        gaps = (true_positive_gap + false_positive_gap) / 2
    else:
        raise ValueError(f"rates is '{rates}'; allowed are 'worst' and 'mean'.")
    return _over_classes(gaps, agg)


def accuracy(confusion):
    """Share of rows predicted right, over all groups; NaN without rows."""
    confusion = np.asarray(confusion)
    return _divide(np.trace(confusion.sum(axis=-3), axis1=-2, axis2=-1), confusion.sum(axis=(-3, -2, -1)))


def group_accuracy(confusion) -> np.ndarray:
    """Share of rows predicted right in each group: [..., G], NaN for a group without rows."""
    confusion = np.asarray(confusion)
    return _divide(np.trace(confusion, axis1=-2, axis2=-1), confusion.sum(axis=(-2, -1)))


def worst_group_accuracy(confusion):
    """The lowest group accuracy; NaN if any declared group has no rows, for that group may be the worst."""
    return group_accuracy(confusion).min(axis=-1)


def accuracy_gap(confusion):
    """Highest minus lowest group accuracy over the groups with rows; NaN under two such groups."""
    return _range_over_groups(group_accuracy(confusion)[..., None]).max(axis=-1)


def macro_scores(confusion) -> dict:
    """Unweighted means over classes of precision, recall and F1 = 2 tp / (2 tp + fp + fn), groups summed.

    Classes without a row are left out of all three means and counted in "classes_without_rows" (scikit-learn counts
    them as 0 if they are predicted). A class that has rows but is never predicted has precision 0, as there, so that a
    collapsed model gains nothing; "classes_never_predicted" counts those.
    """
    total = np.asarray(confusion).sum(axis=-3)  # [..., C, C]
    hits = np.diagonal(total, axis1=-2, axis2=-1)  # [..., C]
    support, predicted = total.sum(axis=-1), total.sum(axis=-2)
    present = support > 0
    num_present = present.sum(axis=-1)
    ratios = {
        "precision": _divide(hits, np.maximum(predicted, 1)),
        "recall": _divide(hits, support),
        "f1": _divide(2 * hits, support + predicted),
    }
    scores = {name: _divide(np.where(present, ratio, 0).sum(axis=-1), num_present) for name, ratio in ratios.items()}
    scores["classes_without_rows"] = (~present).sum(axis=-1)
    scores["classes_never_predicted"] = (present & (predicted == 0)).sum(axis=-1)
    return scores


def softmax(logits) -> np.ndarray:
    """exp(z_c) / sum_k exp(z_k) along the last axis, in float64 and safe for large logits."""
    logits = np.asarray(logits, dtype=np.float64)
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def class_auroc(labels, scores) -> np.ndarray:
    """P(score of a row of class c > score of another row) + half the ties, per class: [C] (Mann-Whitney).

    labels [N] int, scores [N, C] finite. NaN for a class without positives or without negatives.
    """
    scores = np.asarray(scores)
    labels = _ids("label", labels, 0, scores.shape[1])
    if not np.isfinite(scores).all():
        raise DataError("auroc: a score is NaN or infinite; rows cannot be ranked. Check the model's output.")
    areas = np.full(scores.shape[1], np.nan)  # [C]
    for label in range(scores.shape[1]):
        positive = labels == label
        hits, misses = int(positive.sum()), int((~positive).sum())
        if hits and misses:
            rank_sum = _average_ranks(scores[:, label])[positive].sum()
            areas[label] = (rank_sum - hits * (hits + 1) / 2) / (hits * misses)
    return areas


def auroc(labels, scores) -> float:
    """Macro mean of the one-vs-rest `class_auroc` over classes where it is defined; class 1 alone if there are two.

    Probabilities are wanted (`softmax`), since logits of different rows do not share a scale. NaN if no class has one.
    """
    areas = class_auroc(labels, scores)
    if len(areas) == 2:
        return float(areas[1])
    defined = areas[~np.isnan(areas)]
    return float(defined.mean()) if len(defined) else float("nan")


def auroc_standard_error(labels, scores) -> float:
    """Standard error of `auroc` by placements (DeLong, DeLong, Clarke-Pearson 1988), classes treated jointly.

    A row's influence on the macro mean is the mean over classes of (placement - AUROC_c) / share of its side; the
    error is the standard deviation of the influences over sqrt(N).
    """
    labels, scores = np.asarray(labels), np.asarray(scores)
    areas = class_auroc(labels, scores)
    used = [1] if len(areas) == 2 else np.flatnonzero(~np.isnan(areas)).tolist()
    if not used or np.isnan(areas[used]).any():
        return float("nan")
    influence = np.zeros(len(labels))
    for label in used:
        positive = labels == label
        ranks = _average_ranks(scores[:, label])
        for side, area in ((positive, areas[label]), (~positive, 1 - areas[label])):
            among_others = (ranks[side] - _average_ranks(scores[side, label])) / (~side).sum()
            sign = 1 if side is positive else -1
            influence[side] += sign * (among_others - area) / (side.mean() * len(used))
    return float(np.sqrt((influence**2).sum()) / len(labels))


METRICS = {
    "mean_abs_disparity": mean_abs_disparity,
    "deo_mean": deo_mean,
    "deo_max": deo_max,
    "demographic_parity_difference": demographic_parity_difference,
    "equalized_odds_difference": equalized_odds_difference,
    "accuracy_gap": accuracy_gap,
}


def _ids(what: str, values, low: int, high: int) -> np.ndarray:
    values = np.asarray(values)
    if not np.issubdtype(values.dtype, np.integer) and values.size:
        raise DataError(f"{what} ids are {values.dtype}; integers {low} .. {high - 1} are needed.")
    bad = np.flatnonzero((values < low) | (values >= high))
    if len(bad):
        raise DataError(
            f"{what} {values[bad[0]]} in row {bad[0]} is outside {low} .. {high - 1} ({len(bad)} such rows). "
            "Declare every class and group before counting."
        )
    return values.astype(np.int64)


def _divide(count, total) -> np.ndarray:
    count, total = np.broadcast_arrays(np.asarray(count, dtype=np.float64), total)
    return np.divide(count, total, out=np.full(count.shape, np.nan), where=total > 0)[()]


def _range_over_groups(rates: np.ndarray) -> np.ndarray:
    """max - min over the group axis of rates [..., G, C], NaN left out; NaN under two defined rates."""
    undefined = np.isnan(rates)
    high = np.where(undefined, -np.inf, rates).max(axis=-2)
    low = np.where(undefined, np.inf, rates).min(axis=-2)
    return np.subtract(high, low, out=np.full(high.shape, np.nan), where=(~undefined).sum(axis=-2) >= 2)


def _over_classes(gaps: np.ndarray, agg: str):
    if agg not in ("max", "mean"):
        raise ValueError(f"agg is '{agg}'; allowed are 'max' and 'mean'.")
    if gaps.shape[-1] == 2:
        return gaps[..., 1][()]  # a scalar where there is no batch axis
    return gaps.max(axis=-1) if agg == "max" else gaps.mean(axis=-1)


def _average_ranks(values: np.ndarray) -> np.ndarray:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place.reshape(-1)]  # ranks from 1; ties share their mean
