"""The rows on which operators are ranked and chosen: validation rows, for a gate row would judge its own choice."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgefair.data import Examples
from edgefair.predictions import LabelledRows, Predictions


@dataclass(frozen=True, kw_only=True)
class RankingRows(LabelledRows):
    """Images, uint8 [N, 3, S, S], and the logits [N, C] of the model that must be kept.

    Identities are left out: observed values are judged on these rows, not their bounds.
    """

    images: np.ndarray
    reference: np.ndarray

    def predictions(self, logits: np.ndarray) -> Predictions:
        """Logits of these rows as the gate reads them."""
        return Predictions(**self.columns(), logits=logits)

    def margin_errors(self, logits: np.ndarray) -> np.ndarray:
        """(m - m_ref)^2 of every row, [N], with the margin m = z_y - max over k != y of z_k."""
        return (margin(logits, self.labels) - margin(self.reference, self.labels)) ** 2

    def by_group(self, values: np.ndarray) -> np.ndarray:
        """Mean of values [N] over the rows of each group, [G]; NaN for a group without rows."""
        count = np.bincount(self.groups[self.groups >= 0], minlength=len(self.group_names))
        known = self.groups >= 0
        total = np.bincount(self.groups[known], values[known], minlength=len(self.group_names))
        return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)

    def spread(self, most: int) -> "RankingRows":
        """At most so many of the rows, evenly from first to last."""
        at = _evenly(len(self.labels), most)
        return RankingRows(**self.columns(at), images=self.images[at], reference=self.reference[at])


def margin(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Logit of the true class less the best other one, [N]; below zero the prediction is wrong."""
    logits = np.asarray(logits, np.float64)
    at = np.arange(len(logits))
    others = logits.copy()
    others[at, labels] = -np.inf
    return logits[at, labels] - others.max(axis=1)


def ranking_rows(examples: Examples, reference: Callable[[np.ndarray], np.ndarray], most: int = 2000) -> RankingRows:
    """At most so many validation rows, spread over the list; `reference` maps their images to logits."""
    rows = examples.rows["validation"]
    rows = rows[_evenly(len(rows), most)]
    images = np.ascontiguousarray(examples.images[rows])
    columns = examples.columns(rows) | {"identities": None}
    return RankingRows(**columns, images=images, reference=reference(images))


def _evenly(count: int, most: int) -> np.ndarray:
    """At most `most` places of `count`, evenly from the first to the last."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int))
