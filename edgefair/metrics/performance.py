"""How good predictions are: accuracy, precision, recall, F1, AUROC, calibration. How unequal they are: `metrics`."""

from typing import overload

import numpy as np
from numpy.typing import ArrayLike

from edgefair.errors import DataError
from edgefair.metrics.confusion_matrix import check_ids, divide, recall


def accuracy(confusion: ArrayLike) -> float | np.ndarray:
    """Share of rows predicted right, over all groups; NaN without rows."""
    confusion = np.asarray(confusion)
    return divide(np.trace(confusion.sum(axis=-3), axis1=-2, axis2=-1), confusion.sum(axis=(-3, -2, -1)))


def group_accuracy(confusion: ArrayLike) -> np.ndarray:
    """Share of rows predicted right in each group: [..., G], NaN for a group without rows."""
    confusion = np.asarray(confusion)
    return divide(np.trace(confusion, axis1=-2, axis2=-1), confusion.sum(axis=(-2, -1)))


def worst_group_accuracy(confusion: ArrayLike) -> float | np.ndarray:
    """The lowest group accuracy; NaN if any declared group has no rows, for that group may be the worst."""
    lowest: float | np.ndarray = group_accuracy(confusion).min(axis=-1)
    return lowest


def macro_scores(confusion: ArrayLike) -> dict[str, float | np.ndarray]:
    """Unweighted means over classes of precision, recall and F1 = 2 tp / (2 tp + fp + fn), groups summed.

    Classes without a row are left out of all three means and counted in "classes_without_rows" (scikit-learn counts
    them as 0 if they are predicted). A class that has rows but is never predicted has precision 0, as there, so that a
    collapsed model gains nothing; "classes_never_predicted" counts those.
    """
    return _class_means(confusion, weighted=False)


def weighted_scores(confusion: ArrayLike) -> dict[str, float | np.ndarray]:
    """The scores of `macro_scores` as means weighted by the rows of each class; weighted recall is accuracy."""
    return _class_means(confusion, weighted=True)


@overload
def calibration_error(labels: ArrayLike, probabilities: ArrayLike, *, bins: int = 15) -> float: ...


@overload
def calibration_error(
    labels: ArrayLike, probabilities: ArrayLike, groups: ArrayLike, num_groups: int, *, bins: int = 15
) -> np.ndarray: ...


def calibration_error(
    labels: ArrayLike,
    probabilities: ArrayLike,
    groups: ArrayLike | None = None,
    num_groups: int = 0,
    *,
    bins: int = 15,
) -> float | np.ndarray:
    """Expected calibration error, ECE = sum_b n_b / n |accuracy_b - confidence_b| (Guo et al. 2017, eq. 3).

    Bins of equal width ((b - 1) / bins, b / bins] over the probability of the predicted class; probabilities [N, C] in
    0 .. 1. A float over all rows, or [G] where groups are given; NaN for a group without rows. Few rows overstate it:
    noise in a bin does not cancel, so compare groups of like size only.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    labels = check_ids("label", labels, 0, probabilities.shape[1])
    if not ((probabilities >= 0) & (probabilities <= 1 + 1e-9)).all():
        raise DataError("calibration_error: probabilities outside 0 .. 1 or NaN; give softmax outputs, not logits.")
    whole = groups is None
    if groups is None:
        groups, num_groups = np.zeros(len(labels), np.int64), 1
    groups = check_ids("group", groups, -1, num_groups)
    known = groups >= 0
    confidence = probabilities.max(axis=1)  # [N]
    right = probabilities.argmax(axis=1) == labels
    bin_ = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    cell = (groups * bins + bin_)[known]
    excess = np.bincount(cell, weights=(right - confidence)[known], minlength=num_groups * bins)
    rows = np.bincount(groups[known], minlength=num_groups)
    errors = divide(np.abs(excess.reshape(num_groups, bins)).sum(axis=1), rows)  # [G]
    return float(errors[0]) if whole else errors


def softmax(logits: ArrayLike) -> np.ndarray:
    """exp(z_c) / sum_k exp(z_k) along the last axis, in float64 and safe for large logits."""
    logits = np.asarray(logits, dtype=np.float64)
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def class_auroc(labels: ArrayLike, scores: ArrayLike) -> np.ndarray:
    """P(score of a row of class c > score of another row) + half the ties, per class: [C] (Mann-Whitney).

    labels [N] int, scores [N, C] finite. NaN for a class without positives or without negatives.
    """
    scores = np.asarray(scores)
    labels = check_ids("label", labels, 0, scores.shape[1])
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


def auroc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Macro mean of the one-vs-rest `class_auroc` over classes where it is defined; class 1 alone if there are two.

    Probabilities are wanted (`softmax`), since logits of different rows do not share a scale. NaN if no class has one.
    """
    areas = class_auroc(labels, scores)
    if len(areas) == 2:
        return float(areas[1])
    defined = areas[~np.isnan(areas)]
    return float(defined.mean()) if len(defined) else float("nan")


def auroc_standard_error(labels: ArrayLike, scores: ArrayLike) -> float:
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


def _class_means(confusion: ArrayLike, weighted: bool) -> dict[str, float | np.ndarray]:
    total = np.asarray(confusion).sum(axis=-3)  # [..., C, C]
    hits = np.diagonal(total, axis1=-2, axis2=-1)  # [..., C]
    support, predicted = total.sum(axis=-1), total.sum(axis=-2)
    present = support > 0
    ratios = {
        "precision": np.where(predicted > 0, divide(hits, predicted), 0),
        "recall": recall(total),
        "f1": divide(2 * hits, support + predicted),
    }
    weight = support if weighted else present
    scores: dict[str, float | np.ndarray] = {
        name: divide((np.where(present, ratio, 0) * weight).sum(axis=-1), weight.sum(axis=-1))
        for name, ratio in ratios.items()
    }
    scores["classes_without_rows"] = (~present).sum(axis=-1)
    scores["classes_never_predicted"] = (present & (predicted == 0)).sum(axis=-1)
    return scores


def _average_ranks(values: np.ndarray) -> np.ndarray:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place.reshape(-1)]  # ranks from 1; ties share their mean


def prediction_variety(confusion: ArrayLike) -> float | np.ndarray:
    """Entropy of the predicted classes as a share of that of the true classes, [...]; 0 for one class of everybody.

    H(sum_ga n[g, a, b]) / H(sum_gb n[g, a, b]) of tables [..., G, C, C]; NaN without rows of two classes. What predicts
    one class has no disparity at all, so a small gap says nothing where this is small.
    """
    tables = np.asarray(confusion, dtype=np.float64).sum(axis=-3)  # [..., true, predicted]
    true, predicted = (_entropy(tables.sum(axis=axis)) for axis in (-1, -2))
    variety: np.ndarray = predicted / np.where(true > 0, true, np.nan)
    return variety[()]


def _entropy(counts: np.ndarray) -> np.ndarray:
    """Entropy in nats of counts [..., C]: [...]."""
    total = counts.sum(axis=-1, keepdims=True)
    shares = counts / np.where(total > 0, total, np.nan)
    entropy: np.ndarray = -(shares * np.log(np.where(shares > 0, shares, 1))).sum(axis=-1)
    return entropy
