"""Two models on the same rows, counted: who got it right, what flipped, and where the two disagree."""

from typing import overload

import numpy as np
from numpy.typing import ArrayLike

from edgefair.errors import DataError
from edgefair.metrics.confusion_matrix import check_ids, confusion, divide

BOTH, LOST, WON, NEITHER = range(4)


def paired_outcomes(labels: ArrayLike, pred_ref: ArrayLike, pred_cand: ArrayLike) -> np.ndarray:
    """Which model gets each row right, int [N]: 0 both, 1 the reference only, 2 the candidate only, 3 neither."""
    labels = np.asarray(labels)
    outcomes: np.ndarray = 2 * (np.asarray(pred_ref) != labels) + (np.asarray(pred_cand) != labels)
    return outcomes


def paired_counts(
    labels: ArrayLike, groups: ArrayLike, pred_ref: ArrayLike, pred_cand: ArrayLike, num_classes: int, num_groups: int
) -> np.ndarray:
    """Count the rows of each (group, class) cell by which of the two models is right: int64 [G, C, 4].

    labels, groups, pred_ref, pred_cand: int [N], row for row. num_classes, num_groups: how many are declared. Rows of
    unknown group (-1) are left out. Raises DataError as `confusion` does.
    """
    confusion(labels, pred_ref, groups, num_classes, num_groups)  # checks ranges and lengths
    confusion(labels, pred_cand, groups, num_classes, num_groups)
    labels, groups = np.asarray(labels), np.asarray(groups, dtype=np.int64)
    known = groups >= 0
    cell = (groups[known] * num_classes + labels[known]) * 4 + paired_outcomes(labels, pred_ref, pred_cand)[known]
    return np.bincount(cell, minlength=num_groups * num_classes * 4).reshape(num_groups, num_classes, 4)


@overload
def flip_rate(pred_ref: ArrayLike, pred_cand: ArrayLike) -> float: ...


@overload
def flip_rate(pred_ref: ArrayLike, pred_cand: ArrayLike, groups: ArrayLike, num_groups: int) -> np.ndarray: ...


def flip_rate(
    pred_ref: ArrayLike, pred_cand: ArrayLike, groups: ArrayLike | None = None, num_groups: int = 0
) -> float | np.ndarray:
    """Share of rows whose predicted class differs: a float, or [G] where groups are given; NaN without rows.

    pred_ref, pred_cand, groups: int [N]. num_groups: how many are declared. Rows of unknown group (-1) count in the
    overall rate only.
    """
    flipped = np.asarray(pred_ref) != np.asarray(pred_cand)
    if groups is None:
        return divide(flipped.sum(), len(flipped))
    groups = check_ids("group", groups, -1, num_groups)
    if len(groups) != len(flipped):
        raise DataError(f"flip_rate: {len(flipped)} predictions and {len(groups)} groups; every row needs one of each.")
    known = groups >= 0
    count, total = (np.bincount(groups[rows], minlength=num_groups) for rows in (known & flipped, known))
    return divide(count, total)


def disagreement(pred_ref: ArrayLike, pred_cand: ArrayLike, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows by what each model says where they differ, int64 [C, C] = [reference, candidate], and where they agree, [C].

    The diagonal is apart, for it is so much larger that it hides the rest (Mohammadshahi & Ioannou).
    """
    pred_ref = np.asarray(pred_ref)
    together = confusion(pred_ref, pred_cand, np.zeros(len(pred_ref), dtype=np.int64), num_classes, 1)[0]
    agree = np.diagonal(together).copy()
    return together - np.diag(agree), agree
