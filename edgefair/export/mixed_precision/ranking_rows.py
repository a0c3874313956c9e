"""The rows on which operators are ranked and chosen: validation rows, for a gate row would judge its own choice."""

from dataclasses import dataclass, replace

import numpy as np

from edgefair.data import Examples
from edgefair.predictions import Predictions


@dataclass(frozen=True)
class Rows:
    """Images with what is known of them, and the logits [N, C] of the model that must be kept."""

    images: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    ids: np.ndarray
    class_names: tuple[str, ...]
    group_names: tuple[str, ...]
    reference: np.ndarray

    def predictions(self, logits: np.ndarray) -> Predictions:
        """Logits of these rows as the gate reads them."""
        return Predictions(self.ids, self.labels, self.groups, logits, self.class_names, self.group_names)

    def margin_errors(self, logits: np.ndarray) -> np.ndarray:
        """(m - m_ref)^2 of every row, [N], with the margin m = z_y - max over k != y of z_k."""
        return (margin(logits, self.labels) - margin(self.reference, self.labels)) ** 2

    def by_group(self, values: np.ndarray) -> np.ndarray:
        """Mean of values [N] over the rows of each group, [G]; NaN for a group without rows."""
        count = np.bincount(self.groups[self.groups >= 0], minlength=len(self.group_names))
        known = self.groups >= 0
        total = np.bincount(self.groups[known], values[known], minlength=len(self.group_names))
        return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)

    def spread(self, most: int) -> "Rows":
        """At most so many of the rows, evenly from first to last."""
        at = np.unique(np.linspace(0, len(self.labels) - 1, min(most, len(self.labels))).round().astype(int))
        parts = {name: getattr(self, name)[at] for name in ("images", "labels", "groups", "ids", "reference")}
        return replace(self, **parts)


def margin(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Logit of the true class less the best other one, [N]; below zero the prediction is wrong."""
    logits = np.asarray(logits, np.float64)
    at = np.arange(len(logits))
    others = logits.copy()
    others[at, labels] = -np.inf
    return logits[at, labels] - others.max(axis=1)


def ranking_rows(examples: Examples, reference, most: int = 2000) -> Rows:
    """At most so many validation rows, spread over the list; `reference` maps their images to logits."""
    rows = examples.rows["validation"]
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int))]
    images = np.ascontiguousarray(examples.images[rows])
    facts = (examples.labels[rows], examples.groups[rows], examples.ids[rows])
    return Rows(images, *facts, examples.class_names, examples.group_names, reference(images))
