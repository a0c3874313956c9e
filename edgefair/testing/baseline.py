"""The committed baseline of exported engines: what each did on its rows, and how much worse it may become.

On the same rows the disparity of an engine is a fact and needs no interval; that fact is what is compared here. Whether
images like these are served alike is another claim, judged by the paired gate where a reference is given.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgefair import __version__
from edgefair.checks import judge, listed
from edgefair.errors import DataError, RecipeError, nearest
from edgefair.files import digest, finite, write_bytes
from edgefair.metrics import class_gaps, confusion, group_accuracy, missing_cells, recall
from edgefair.predictions import Predictions
from edgefair.testing import Inconclusive, Unfair, _loaded, assert_fair
from edgefair.tolerance import Tolerance

SCHEMA = 1
FIELDS = (
    "allowed",
    "rows",
    "rows_sha256",
    "class_names",
    "group_names",
    "predicted",
    "accuracy_percent",
    "group_accuracy_percent",
    "mean_disparity_points",
    "max_disparity_points",
)
ALLOWED = ("accuracy_drop_points", "worst_group_drop_points", "mean_drift_points", "max_drift_points")


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
        return judge(self.worse, self.worse, self.limit)

    def __str__(self) -> str:
        return f"{self.what} {self.before:.2f} -> {self.now:.2f}, worse by {self.worse:.2f} (allowed {self.limit:g})"


@dataclass(frozen=True)
class Baseline:
    """One baseline file; `check` holds an engine to its entry, or writes the entry where `update` is set."""

    path: Path
    update: bool = False
    again: str = "pytest --edgefair-update-baseline"  # the command that writes a missing entry

    def check(self, name: str, candidate, reference=None, tolerance: Tolerance | None = None, **how) -> dict:
        """Hold `candidate` to the entry `name` on the same rows, and to `reference` by the paired gate if given.

        The tolerance stands in the file, so that a wider one is part of the reviewed change; one given here must be
        the same. Returns what was observed. Raises Unfair, Inconclusive, or DataError where the entry is missing or of
        other rows.
        """
        candidate = _loaded(candidate)
        entries = self._read()
        if self.update:
            wanted = tolerance or (_tolerance(entries[name]) if name in entries else Tolerance())
            now = observe(candidate, wanted)
            self._write({**entries, name: now})
        else:
            before = self._entry(entries, name)
            wanted = self._same_tolerance(before, tolerance, name)
            now = observe(candidate, wanted)
            self._judge(name, before, now)
        if reference is not None:
            assert_fair(reference, candidate, wanted, **how)
        return now

    def _judge(self, name: str, before: dict, now: dict) -> None:
        self._same_rows(before, now, name)
        facts = compare_facts(before, now)
        failed = [str(fact) for fact in facts if fact.outcome == "fail"] + vanished(before, now)
        if failed:
            raise Unfair(f"'{name}' became less fair than {self.path.name} allows, on these rows: {'; '.join(failed)}.")
        undefined = [fact.what for fact in facts if fact.outcome != "pass"]
        if undefined or now["missing_cells"]:
            said = f"{listed(undefined)} undefined; " if undefined else ""
            raise Inconclusive(f"'{name}': {said}no rows of {listed(now['missing_cells']) or 'a known group'}.")

    def _entry(self, entries: dict, name: str) -> dict:
        if name in entries:
            missing = [field for field in FIELDS if field not in entries[name]]
            if missing:
                raise DataError(
                    f"the entry '{name}' of {self.path} lacks {listed(missing)}. Restore it, or: {self.again}"
                )
            return entries[name]
        hint = nearest(name, entries) if entries else "the file has none."
        raise DataError(
            f"{self.path} has no entry '{name}'; {hint} To add it, run: {self.again} - then review and commit the file."
        )

    def _same_tolerance(self, before: dict, tolerance: Tolerance | None, name: str) -> Tolerance:
        stored = _tolerance(before)
        if tolerance is None:
            return stored
        for field in (*ALLOWED, "flip_rate_percent"):
            was, given = getattr(stored, field), getattr(tolerance, field)
            if was != given:
                raise RecipeError(
                    f"the tolerance of '{name}' is {field} = {given} in the test and {was} in {self.path.name}. "
                    f"Give the stored one, or run: {self.again} - then review and commit the file."
                )
        return tolerance

    def _same_rows(self, before: dict, now: dict, name: str) -> None:
        for field in ("class_names", "group_names", "rows", "rows_sha256"):
            if before[field] != now[field]:
                raise DataError(
                    f"'{name}' was predicted on other rows than its entry in {self.path.name}: {field} was "
                    f"{before[field]}, is {now[field]}. What holds on these rows says nothing about others. Give the "
                    f"same rows, or run: {self.again} - then review and commit the file."
                )

    def _read(self) -> dict:
        try:
            stored = json.loads(self.path.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise DataError(
                f"{self.path} is not a readable baseline ({error}). Restore it from version control."
            ) from None
        if (
            not isinstance(stored, dict)
            or stored.get("schema") != SCHEMA
            or not isinstance(stored.get("engines"), dict)
        ):
            raise DataError(f"{self.path} is no fairness baseline of schema {SCHEMA}.")
        return stored["engines"]

    def _write(self, entries: dict) -> None:
        content = {"schema": SCHEMA, "engines": entries}
        write_bytes(
            self.path, (json.dumps(finite(content), indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
        )


def observe(predictions: Predictions, tolerance: Tolerance) -> dict:
    """The entry of an engine: what it did on these rows, how much worse it may become, and what it was."""
    classes, groups = predictions.class_names, predictions.group_names
    predicted = predictions.predicted
    table = confusion(predictions.labels, predicted, predictions.groups, len(classes), len(groups))  # [G, C, C]
    rates, gaps = group_accuracy(table), class_gaps(table)
    right = np.diagonal(table, axis1=1, axis2=2)  # [G, C]
    about = predictions.about
    return {
        "allowed": {name: getattr(tolerance, name) for name in (*ALLOWED, "flip_rate_percent", "min_cell")},
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
        pair = (entry["group_accuracy_percent"][name] for entry in (before, now))
        facts.append(_drop(f"accuracy of {name}", *pair, allowed["worst_group_drop_points"]))
    for which in ("mean", "max"):
        limit = allowed[f"{which}_drift_points"]
        if limit is not None:
            was, is_ = (_number(entry[f"{which}_disparity_points"]) for entry in (before, now))
            facts.append(Fact(f"{which} disparity", was, is_, is_ - was, limit))
    return facts


def vanished(before: dict, now: dict) -> list[str]:
    """Classes that were predicted often and never are any more: a collapsed engine has a splendid disparity."""
    least = before["allowed"]["min_cell"]
    lost = [name for name, count in before["predicted"].items() if count >= least and not now["predicted"][name]]
    return [f"never predicted any more: {listed(lost)}"] if lost else []


def _drop(what: str, before: float | None, now: float | None, limit: float) -> Fact:
    was, is_ = _number(before), _number(now)
    return Fact(what, was, is_, was - is_, limit)


def _tolerance(entry: dict) -> Tolerance:
    return Tolerance(**entry["allowed"])


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _rounded(share: float) -> float:
    """Percent or points with four places: finer than one row of any data set that is looked at."""
    return round(100 * float(share), 4)
