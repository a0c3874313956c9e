"""What an exported engine did on its rows, as numbers that can be committed and compared without an interval."""

from dataclasses import asdict, dataclass

import numpy as np

from edgefair import __version__
from edgefair.errors import listed
from edgefair.files import digest
from edgefair.gate import Tolerance
from edgefair.gate.checks import outcome_of
from edgefair.metrics import class_gaps, confusion, group_accuracy, missing_cells, recall
from edgefair.predictions import Predictions


@dataclass(frozen=True)
class Fact:
    """One number of the baseline beside what it is now; worse is positive, in points."""

    what: str
    before: float
    now: float
    worse: float
    limit: float

    @property
    def outcome(self) -> str:
        """fail above the limit, inconclusive where undefined: a fact needs no bound."""
        return outcome_of(self.worse, self.worse, self.limit)

    def __str__(self) -> str:
        return f"{self.what} {self.before:.2f} -> {self.now:.2f}, worse by {self.worse:.2f} (allowed {self.limit:g})"


def observe(predictions: Predictions, tolerance: Tolerance) -> dict:
    """The entry of an engine: what it did on these rows, how much worse it may become, and what it was."""
    classes, groups = predictions.class_names, predictions.group_names
    predicted = predictions.predicted
    table = confusion(predictions.labels, predicted, predictions.groups, len(classes), len(groups))  # [G, C, C]
    rates, gaps = group_accuracy(table), class_gaps(table)
    right = np.diagonal(table, axis1=1, axis2=2)  # [G, C]
    about = predictions.about
    return {
        "allowed": asdict(tolerance),
        "rows": len(predictions.ids),
        "rows_sha256": rows_hash(predictions),
        "class_names": list(classes),
        "group_names": list(groups),
        "cells_right_of": {
            group: {name: f"{right[g, c]} of {table[g, c].sum()}" for c, name in enumerate(classes)}
            for g, group in enumerate(groups)
        },
        "missing_cells": [f"{groups[g]}/{classes[c]}" for g, c in missing_cells(table)],
        "predicted": {name: int((predicted == c).sum()) for c, name in enumerate(classes)},
        "accuracy_percent": _rounded((predicted == predictions.labels).mean()),
        "group_accuracy_percent": {name: _rounded(rate) for name, rate in zip(groups, rates, strict=True)},
        "mean_disparity_points": _rounded(gaps.mean()),
        "max_disparity_points": _rounded(gaps.max()),
        "macro_recall_percent": _rounded(recall(table).mean()),
        "made_by": {
            "edgefair": __version__,
            **{key: about[key] for key in ("artefact", "sha256", "runtime", "version", "precision") if key in about},
        },
    }


def rows_hash(predictions: Predictions) -> str:
    """SHA-256 of ids, labels and groups in order of id: the same rows in another order are the same rows."""
    ids = np.asarray(predictions.ids).astype(np.str_)
    order = np.argsort(ids)
    return digest([ids[order].tolist(), predictions.labels[order].tolist(), predictions.groups[order].tolist()])


def compare_facts(before: dict, now: dict) -> list[Fact]:
    """Accuracy, each group's accuracy, mean and largest disparity: the entry beside what is there now."""
    allowed = before["allowed"]
    facts = [_drop("accuracy", before["accuracy_percent"], now["accuracy_percent"], allowed["accuracy_drop_points"])]
    for name in before["group_names"]:
        was, is_ = (entry["group_accuracy_percent"][name] for entry in (before, now))
        facts.append(_drop(f"accuracy of {name}", was, is_, allowed["worst_group_drop_points"]))
    for which in ("mean", "max"):
        limit = allowed[f"{which}_drift_points"]
        if limit is not None:
            was, is_ = (_number(entry[f"{which}_disparity_points"]) for entry in (before, now))
            facts.append(Fact(f"{which} disparity", was, is_, is_ - was, limit))
    return facts


def vanished(before: dict, now: dict) -> list[str]:
    """Classes that were predicted often and never are any more: a collapsed engine has a trivially low disparity."""
    least = before["allowed"]["min_cell"]
    lost = [name for name, count in before["predicted"].items() if count >= least and not now["predicted"][name]]
    return [f"never predicted any more: {listed(lost)}"] if lost else []


def _drop(what: str, before: float | None, now: float | None, limit: float) -> Fact:
    was, is_ = _number(before), _number(now)
    return Fact(what, was, is_, was - is_, limit)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _rounded(share: float) -> float:
    """Percent or points with four places: finer than one row of any data set that is looked at."""
    return round(100 * float(share), 4)
