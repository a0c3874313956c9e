"""A reference and a candidate on the same rows, and what is counted of them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from edgefair.errors import DataError
from edgefair.files import digest
from edgefair.metrics.cluster_bootstrap import IdentityCounts, design_effect, identity_counts, identity_ids
from edgefair.metrics.confusion_matrix import confusion
from edgefair.metrics.paired import LOST, WON, paired_counts, paired_outcomes
from edgefair.predictions import LabelledRows, Predictions


@dataclass(frozen=True, kw_only=True)
class Pair(LabelledRows):
    """A reference and a candidate on the same rows, in the reference's order; made by `align`."""

    reference: Predictions
    candidate: Predictions
    order: np.ndarray  # int64 [N], the candidate's row for each row of the reference

    @staticmethod
    def of(reference: Predictions, candidate: Predictions, order: np.ndarray) -> "Pair":
        """The pair of two predictions that are known to be of the same rows; identities are those of either."""
        columns = reference.columns()
        if columns["identities"] is None and candidate.identities is not None:
            columns["identities"] = candidate.identities[order]
        return Pair(**columns, reference=reference, candidate=candidate, order=order)

    def exchanged(self) -> "Pair":
        """The same rows with the roles of reference and candidate exchanged, in the candidate's order."""
        return Pair.of(self.candidate, self.reference, np.argsort(self.order))

    @property
    def pred_ref(self) -> np.ndarray:
        """The class that the reference predicts, int64 [N]."""
        return self.reference.predicted

    @cached_property
    def pred_cand(self) -> np.ndarray:
        """The class that the candidate predicts, int64 [N]."""
        predicted: np.ndarray = self.candidate.predicted[self.order]
        return predicted

    @cached_property
    def outcomes(self) -> np.ndarray:
        """Which of the two gets each row right, int64 [N], see `paired_outcomes`."""
        return paired_outcomes(self.labels, self.pred_ref, self.pred_cand)

    @cached_property
    def flipped(self) -> np.ndarray:
        """Whether the predicted class differs, bool [N]."""
        flipped: np.ndarray = self.pred_ref != self.pred_cand
        return flipped

    @cached_property
    def by_identity(self) -> IdentityCounts | None:
        """Paired counts by who is shown, where identities are known."""
        if self.identities is None:
            return None
        return identity_counts(self.labels, self.groups, self.pred_ref, self.pred_cand, self.identities, *self.shape)

    @cached_property
    def counts(self) -> np.ndarray:
        """Paired counts, int64 [G, C, 4]."""
        return paired_counts(self.labels, self.groups, self.pred_ref, self.pred_cand, *self.shape)

    @cached_property
    def tables(self) -> tuple[np.ndarray, np.ndarray]:
        """Confusion of the reference and of the candidate, int64 [G, C, C] each."""
        reference, candidate = (
            confusion(self.labels, pred, self.groups, *self.shape) for pred in (self.pred_ref, self.pred_cand)
        )
        return reference, candidate

    @property
    def compares_groups(self) -> bool:
        """Whether there are two groups or more; with one there is no gap to judge."""
        return self.shape[1] > 1

    @property
    def missing(self) -> list[str]:
        """Declared cells without a row, as "group/class"."""
        return self.empty_cells()

    def change(self, rows: np.ndarray | slice = slice(None)) -> tuple[int, int, int, float]:
        """(rows lost, rows won, all rows, design effect) among the chosen rows."""
        outcome = self.outcomes[rows]
        lost, won = outcome == LOST, outcome == WON
        return int(lost.sum()), int(won.sum()), len(outcome), self.effect(won * 1 - lost, rows)

    def flips(self, rows: np.ndarray | slice = slice(None)) -> tuple[int, int, float]:
        """(rows whose predicted class differs, all rows, design effect) among the chosen rows."""
        flipped = self.flipped[rows]
        return int(flipped.sum()), len(flipped), self.effect(flipped, rows)

    @cached_property
    def num_identities(self) -> int | None:
        """How many identities there are, each unknown one counted by itself; None where identities are not known."""
        return None if self.identities is None else len(np.unique(identity_ids(self.identities, len(self.labels))))

    def effect(self, values: np.ndarray, rows: np.ndarray | slice = slice(None)) -> float:
        """Rows that tell as much as one independent row: 1, or `design_effect` where people are shown repeatedly."""
        return 1.0 if self.identities is None else design_effect(values, self.identities[rows])


def align(reference: Predictions, candidate: Predictions) -> Pair:
    """The rows of both in the reference's order; raises DataError that says what differs."""
    for what in ("class_names", "group_names"):
        ours, theirs = tuple(getattr(reference, what)), tuple(getattr(candidate, what))
        if ours != theirs:
            raise DataError(
                f"the {what} differ: reference {list(ours)}, candidate {list(theirs)}. "
                "Predict both from the same declared classes and groups, in the same order."
            )
    if len(reference.ids) == 0:
        raise DataError("the reference has no rows, so there is nothing to judge. Give the gate some examples.")
    ids, their_ids = np.asarray(reference.ids).astype(np.str_), np.asarray(candidate.ids).astype(np.str_)
    for extra, where in ((np.setdiff1d(ids, their_ids), "reference"), (np.setdiff1d(their_ids, ids), "candidate")):
        if len(extra):
            raise DataError(
                f"{len(extra)} examples are only in the {where}, first id '{extra[0]}'. "
                "Both must be predicted from the same list of gate rows."
            )
    _same_data(reference, candidate)
    order = np.argsort(their_ids)[np.argsort(np.argsort(ids))]  # [N] row of the candidate for each of the reference
    compared = ["labels", "groups"]
    if reference.identities is not None and candidate.identities is not None:
        compared.append("identities")
    for what in compared:
        ours_values, their_values = getattr(reference, what), getattr(candidate, what)[order]
        bad = np.flatnonzero(ours_values != their_values)
        if len(bad):
            raise DataError(
                f"the {what} of {len(bad)} examples differ, first id '{ids[bad[0]]}': reference "
                f"{ours_values[bad[0]]}, candidate {their_values[bad[0]]}. Predict both from the same data."
            )
    return Pair.of(reference, candidate, order)


def _same_data(reference: Predictions, candidate: Predictions) -> None:
    """Equal ids may still name other images; the hashes that `about` holds say so, where both sides have them."""
    rows = [each.about.get("rows_sha256") for each in (reference, candidate)]
    if None in rows:
        return
    ordered = rows[0] == rows[1]
    # The same rows in another order have another hash, each that of its own ids.
    if not ordered and rows != [digest(np.asarray(each.ids).tolist()) for each in (reference, candidate)]:
        raise DataError(_other_data("list of rows", "rows_sha256", rows))
    data = [each.about.get("data_sha256") for each in (reference, candidate)]
    if ordered and None not in data and data[0] != data[1]:
        raise DataError(_other_data("data set", "data_sha256", data))


def _other_data(what: str, key: str, hashes: list[object]) -> str:
    ours, theirs = (str(value)[:12] for value in hashes)
    return (
        f"reference and candidate were predicted from another {what}: {key} is {ours}… and {theirs}…. "
        "Predict both from the same images."
    )
