"""Where one person is in many images: rows counted by identity, drawn a whole identity at a time.

Images of one person are alike and flip together. Resampling them as if independent makes every bound too small.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from edgefair.errors import DataError
from edgefair.metrics.confusion_matrix import check_ids
from edgefair.metrics.paired import LOST, WON, paired_outcomes


class IdentityCounts(NamedTuple):
    """Paired counts by identity, sparse; identities with the same rows are one type. T types, E pairs (type, cell)."""

    shape: tuple[int, int]  # (groups, classes)
    stratum: np.ndarray  # int64 [T], the cell in which the type has most rows
    multiplicity: np.ndarray  # int64 [T], identities of the type
    type_of: np.ndarray  # int64 [E]
    cell: np.ndarray  # int64 [E], group * classes + class, in order
    counts: np.ndarray  # int64 [E, 4], of one identity

    @property
    def rows_per_identity(self) -> float:
        """Rows of known group an identity has on average."""
        return float((self.counts.sum(axis=1) * self.multiplicity[self.type_of]).sum() / self.multiplicity.sum())

    def draw(self, replicates: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Resampled paired counts, float64 [G, 4, replicates] for each class; weights of identities, not whole rows.

        Identities are drawn with replacement inside each stratum, so that no cell empties by chance where people keep
        to one cell. As for single rows, half an identity that lost all its rows of a cell and half a one that won them
        all is added to each cell, of the cell's mean size: nothing tells whether the images of one person flip together
        until some do. With one row an identity these are the draws for single rows, up to terms of 1 / n.
        """
        weights = np.empty((len(self.stratum), replicates), dtype=np.float32)  # [T, replicates]
        for stratum in np.unique(self.stratum):
            types = self.stratum == stratum
            size = self.multiplicity[types].sum()
            weights[types] = rng.multinomial(size, self.multiplicity[types] / size, size=replicates).T
        groups, classes = self.shape
        for label in range(classes):
            yield np.stack([self._draw_cell(group * classes + label, weights, rng) for group in range(groups)])

    def _draw_cell(self, cell: int, weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        own = slice(*np.searchsorted(self.cell, (cell, cell + 1)))
        drawn: np.ndarray = self.counts[own].T.astype(np.float64) @ weights[self.type_of[own]]  # [4, replicates]
        often = self.multiplicity[self.type_of[own]]
        people, rows = int(often.sum()), int((often * self.counts[own].sum(axis=1)).sum())
        half = 0.5 / (people + 1)
        lost, won, _ = rng.multinomial(people, [half, half, 1 - 2 * half], size=weights.shape[1]).T
        drawn *= 1 - (lost + won) / people
        drawn[LOST] += lost * rows / people
        drawn[WON] += won * rows / people
        return drawn


def identity_counts(
    labels: ArrayLike,
    groups: ArrayLike,
    pred_ref: ArrayLike,
    pred_cand: ArrayLike,
    identities: ArrayLike,
    num_classes: int,
    num_groups: int,
) -> IdentityCounts:
    """Count rows by identity, cell and which model is right. identities [N] text or int; "" is somebody of their own.

    labels, groups, pred_ref, pred_cand, num_classes, num_groups: as for `paired_counts`; rows of unknown group (-1) are
    left out.
    """
    labels = check_ids("true class", labels, 0, num_classes)
    groups = check_ids("group", groups, -1, num_groups)
    who = identity_ids(identities, len(labels))
    known = groups >= 0
    place = (groups * num_classes + labels) * 4 + paired_outcomes(labels, pred_ref, pred_cand)  # [N]
    who = np.unique(who[known], return_inverse=True)[1]
    size = num_groups * num_classes * 4
    pair, rows = np.unique(who * size + place[known], return_counts=True)  # one an identity and place
    who, place = pair // size, pair % size
    type_of, first, multiplicity = _alike(who, place, rows)
    chosen = np.isin(who, first)  # one identity stands for its type
    kind, place, rows = type_of[who[chosen]], place[chosen], rows[chosen]
    entry, index = np.unique((place // 4) * len(first) + kind, return_inverse=True)  # sorted by cell, then type
    counts = np.zeros((len(entry), 4), dtype=np.int64)
    np.add.at(counts, (index, place % 4), rows)
    cell, kind = entry // max(len(first), 1), entry % max(len(first), 1)
    order = np.lexsort((cell, -counts.sum(axis=1), kind))  # the largest cell of a type first
    stratum = cell[order[np.unique(kind[order], return_index=True)[1]]]
    return IdentityCounts((num_groups, num_classes), stratum, multiplicity, kind, cell, counts)


def design_effect(values: ArrayLike, identities: ArrayLike) -> float:
    """Variance of the mean of values [N] when identities are drawn, over that when rows are; at least 1.

    sum_i (sum of identity i's deviations)^2 / sum of squared deviations (Rao & Scott 1992): n rows tell as much as
    n / effect independent ones. An identity of mean size whose rows all deviate by one is added to both, so that
    a sample in which nobody happened to change is not taken for proof that rows are independent.
    """
    values = np.asarray(values, dtype=np.float64)
    who = identity_ids(identities, len(values))
    if not len(values):
        return 1.0
    deviation = values - values.mean()
    who = np.unique(who, return_inverse=True)[1]
    sums = np.bincount(who, weights=deviation)  # [I]
    mean_size = len(values) / len(sums)
    return float(max(1.0, ((sums**2).sum() + mean_size**2) / ((deviation**2).sum() + mean_size)))


def identity_ids(identities: ArrayLike, rows: int) -> np.ndarray:
    """Integers that are equal where the identities are, int64 [N]; every "" gets one of its own."""
    identities = np.asarray(identities)
    if identities.shape != (rows,):
        raise DataError(f"identities have shape {identities.shape}; one for each of the {rows} rows is needed.")
    who = np.unique(identities, return_inverse=True)[1].astype(np.int64)
    nobody = identities == "" if identities.dtype.kind == "U" else np.zeros(rows, dtype=bool)
    who[nobody] = rows + np.arange(nobody.sum())
    return who


def _alike(who: np.ndarray, place: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Type of each identity [I], one identity of each type [T], and how many there are of it [T].

    who [E] in order. Identities are compared by a sum of 64-bit random numbers, one a (place, rows) pair.
    """
    if not len(who):
        return (np.zeros(0, dtype=np.int64),) * 3
    pair, index = np.unique(np.stack([place, rows]), axis=1, return_inverse=True)
    marks = np.random.default_rng(0).integers(0, 2**64, size=len(pair[0]), dtype=np.uint64)
    starts = np.flatnonzero(np.diff(who, prepend=-1))
    key: np.ndarray = np.add.reduceat(marks[index.ravel()], starts)  # [I], wraps around
    _, first, type_of, multiplicity = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
    return type_of.ravel(), first, multiplicity
