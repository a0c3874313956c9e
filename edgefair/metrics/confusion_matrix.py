"""Counting rows by group, true class and predicted class, and dividing the counts; what all metrics stand on.

Tables take any number of leading batch axes ([..., G, C, C]), so a thousand resampled tables cost one call. An
undefined rate (no rows to count) is NaN, never 0.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from edgefair.errors import DataError


def confusion(y_true: ArrayLike, y_pred: ArrayLike, group: ArrayLike, num_classes: int, num_groups: int) -> np.ndarray:
    """Count rows by group, true class and predicted class: int64 [G, C, C].

    y_true, y_pred  [N] int, 0 .. num_classes - 1
    group           [N] int, 0 .. num_groups - 1, or -1 where unknown; rows of unknown group are left out
    Raises DataError where a value is outside its range, is not an integer, or the lengths differ.
    """
    y_true = check_ids("true class", y_true, 0, num_classes)
    y_pred = check_ids("predicted class", y_pred, 0, num_classes)
    group = check_ids("group", group, -1, num_groups)
    if not len(y_true) == len(y_pred) == len(group):
        raise DataError(
            f"confusion: {len(y_true)} true classes, {len(y_pred)} predicted classes and {len(group)} groups; "
            "every row needs one of each."
        )
    known = group >= 0
    cell = (group[known] * num_classes + y_true[known]) * num_classes + y_pred[known]
    counts = np.bincount(cell, minlength=num_groups * num_classes**2)  # [G * C * C]
    return counts.reshape(num_groups, num_classes, num_classes).astype(np.int64)


def soft_confusion(y_true: ArrayLike, y_pred: ArrayLike, z: ArrayLike, num_classes: int) -> tuple[np.ndarray, int]:
    """Weigh rows by a soft attribute z in [0, 1]: float64 [2, C, C] with weights 1 - z and z, and the rows left out.

    y_true, y_pred: int [N], classes of num_classes. For attributes known as a degree or a probability (paleness of
    skin, an annotator's confidence). Every metric takes the table; with z in {0, 1} it is `confusion` with z as the
    group. Descriptive only: weights are no counts of rows, so neither intervals nor noise floors follow from it. Rows
    with z NaN are left out and counted.
    """
    z = np.asarray(z, dtype=np.float64)
    known = ~np.isnan(z)
    bad = np.flatnonzero(known & ((z < 0) | (z > 1)))
    if len(bad):
        raise DataError(f"soft attribute {z[bad[0]]} in row {bad[0]} is outside 0 .. 1 ({len(bad)} such rows).")
    y_true = check_ids("true class", y_true, 0, num_classes)
    y_pred = check_ids("predicted class", y_pred, 0, num_classes)
    if not len(y_true) == len(y_pred) == len(z):
        raise DataError(f"{len(y_true)} true classes, {len(y_pred)} predicted classes and {len(z)} soft attributes.")
    cell = (y_true * num_classes + y_pred)[known]
    sides = [np.bincount(cell, weights=weight, minlength=num_classes**2) for weight in (1 - z[known], z[known])]
    return np.stack(sides).reshape(2, num_classes, num_classes), int((~known).sum())


def intersection(groups: Sequence[np.ndarray], names: Sequence[Sequence[str]]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Groups of several attributes at once: ids int64 [N] and names "a & b", the last attribute running fastest.

    groups  one int [N] array an attribute, -1 where unknown; a row unknown in any of them is unknown here
    names   one tuple of group names an attribute
    Combinations without a row stay declared: a metric of theirs is undefined, not absent.
    """
    if not groups or len(groups) != len(names):
        raise DataError(f"intersection: {len(groups)} arrays of groups and {len(names)} of names; give one of each.")
    if len({len(ids) for ids in groups}) != 1:
        raise DataError(f"intersection: the attributes have {[len(ids) for ids in groups]} rows; all need the same.")
    combined, joined = np.zeros(len(groups[0]), dtype=np.int64), [""]
    for ids, own in zip(groups, names, strict=True):
        ids = check_ids("group", ids, -1, len(own))
        combined = np.where((combined < 0) | (ids < 0), -1, combined * len(own) + ids)
        joined = [f"{before} & {name}" if before else name for before in joined for name in own]
    return combined, tuple(joined)


def missing_cells(confusion: ArrayLike) -> list[tuple[int, int]]:
    """The (group, true class) pairs without a row, for one table [G, C, C]; each makes some rate undefined."""
    support = np.asarray(confusion).sum(axis=-1)  # [G, C]
    return [(int(group), int(label)) for group, label in np.argwhere(support == 0)]


def recall(confusion: ArrayLike) -> np.ndarray:
    """R[a, c] = share of the rows of group a and class c that are predicted as c: [..., G, C], NaN without rows."""
    confusion = np.asarray(confusion)
    return divide(np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(axis=-1))


def precision(confusion: ArrayLike) -> np.ndarray:
    """Share of the rows of group a predicted as c that are of class c: [..., G, C], NaN where never predicted."""
    confusion = np.asarray(confusion)
    return divide(np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(axis=-2))


def false_positive_rate(confusion: ArrayLike) -> np.ndarray:
    """Share of the rows of group a and not of class c that are predicted as c: [..., G, C], NaN without such rows."""
    confusion = np.asarray(confusion)
    support = confusion.sum(axis=-1)  # [..., G, C]
    negatives = support.sum(axis=-1, keepdims=True) - support
    return divide(confusion.sum(axis=-2) - np.diagonal(confusion, axis1=-2, axis2=-1), negatives)


def selection_rate(confusion: ArrayLike) -> np.ndarray:
    """Share of the rows of group a that are predicted as c: [..., G, C], NaN without rows."""
    predicted = np.asarray(confusion).sum(axis=-2)  # [..., G, C]
    return divide(predicted, predicted.sum(axis=-1, keepdims=True))


def undefined_counts(confusion: ArrayLike) -> dict[str, dict[str, int]]:
    """How many (group, class) rates of one table are undefined, by name of the rate, beside how many there are."""
    rates = {f.__name__: f(confusion) for f in (recall, precision, false_positive_rate, selection_rate)}
    return {name: {"undefined": int(np.isnan(rate).sum()), "of": int(rate.size)} for name, rate in rates.items()}


def check_ids(what: str, values: ArrayLike, low: int, high: int) -> np.ndarray:
    """The ids as int64; raises DataError where one is not an integer or outside low .. high - 1."""
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


def divide(count: ArrayLike, total: ArrayLike) -> np.ndarray:
    """count / total in float64, NaN where total is 0; a scalar where both are."""
    count, total = np.broadcast_arrays(np.asarray(count, dtype=np.float64), total)
    quotient: np.ndarray = np.divide(count, total, out=np.full(count.shape, np.nan), where=total > 0)[()]
    return quotient
