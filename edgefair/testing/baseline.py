"""The committed baseline of exported engines: what each did on its rows, and how much worse it may become.

On the same rows the disparity of an engine is a fact and needs no interval; that fact is what is compared here. Whether
images like these are served alike is another claim, judged by the paired gate where a reference is given.
"""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from edgefair.errors import DataError, RecipeError, listed, nearest
from edgefair.files import finite, write_bytes
from edgefair.gate import Tolerance
from edgefair.predictions import Predictions
from edgefair.testing import Inconclusive, Unfair, _loaded, assert_fair
from edgefair.testing.facts import compare_facts, observe, vanished

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


@dataclass(frozen=True)
class Baseline:
    """One baseline file; `check` holds an engine to its entry, or writes the entry where `update` is set."""

    path: Path
    update: bool = False
    again: str = "pytest --edgefair-update-baseline"  # the command that writes a missing entry

    def check(
        self,
        name: str,
        candidate: Predictions | Path | str,
        reference: Predictions | Path | str | None = None,
        tolerance: Tolerance | None = None,
        **how: Any,
    ) -> dict:
        """Hold `candidate` to the entry `name` on the same rows, and to `reference` by the paired gate if given.

        The tolerance stands in the file, so that a wider one is part of the reviewed change; one given here must be
        the same. Returns what was observed. Raises Unfair, Inconclusive, or DataError where the entry is missing or of
        other rows.
        """
        __tracebackhide__ = True
        candidate = _loaded(candidate)
        entries = self._read()
        if self.update:
            wanted = tolerance or (_tolerance(self._entry(entries, name)) if name in entries else Tolerance())
            return self._renew(name, entries, candidate, reference, wanted, how)
        before = self._entry(entries, name)
        wanted = self._same_tolerance(before, tolerance, name)
        now = observe(candidate, wanted)
        self._judge(name, before, now)
        if reference is not None:
            assert_fair(reference, candidate, wanted, **how)
        return now

    def _renew(self, name: str, entries: dict, candidate, reference, wanted: Tolerance, how: dict) -> dict:
        """Write the entry, unless the paired gate refuses the engine; too few rows are written and still reported."""
        __tracebackhide__ = True
        now = observe(candidate, wanted)
        try:
            if reference is not None:
                assert_fair(reference, candidate, wanted, **how)
        except Inconclusive:
            self._write({**entries, name: now})
            raise
        self._write({**entries, name: now})
        return now

    def _judge(self, name: str, before: dict, now: dict) -> None:
        __tracebackhide__ = True
        self._same_rows(before, now, name)
        try:
            facts, lost = compare_facts(before, now), vanished(before, now)
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"the entry '{name}' of {self.path} is damaged ({error!r}). {self._repair_hint()}"
            ) from None
        failed = [str(fact) for fact in facts if fact.outcome == "fail"] + lost
        if failed:
            raise Unfair(f"'{name}' became less fair than {self.path.name} allows, on these rows: {'; '.join(failed)}.")
        undefined = [fact.what for fact in facts if fact.outcome != "pass"]
        if undefined or now["missing_cells"]:
            first = f"{listed(undefined)} undefined; " if undefined else ""
            raise Inconclusive(f"'{name}': {first}no rows of {listed(now['missing_cells']) or 'a known group'}.")

    def _entry(self, entries: dict, name: str) -> dict:
        __tracebackhide__ = True
        if name not in entries:
            hint = nearest(name, entries) if entries else "the file has none."
            raise DataError(
                f"{self.path} has no entry '{name}'; {hint} To add it, run: {self.again} - then review and commit the "
                "file."
            )
        missing = [field for field in FIELDS if field not in entries[name]]
        unknown = sorted(set(entries[name].get("allowed", {})) - {field.name for field in fields(Tolerance)})
        if missing or unknown:
            what = f"lacks {listed(missing)}" if missing else f"allows what is no tolerance: {listed(unknown)}"
            raise DataError(f"the entry '{name}' of {self.path} {what}. {self._repair_hint()}")
        return entries[name]

    def _repair_hint(self) -> str:
        return f"Restore it from version control, or delete it and run: {self.again} - then review and commit the file."

    def _same_tolerance(self, before: dict, tolerance: Tolerance | None, name: str) -> Tolerance:
        __tracebackhide__ = True
        stored = _tolerance(before)
        given = asdict(tolerance or stored)
        changed = [
            f"{field} = {given[field]} in the test and {was}"
            for field, was in asdict(stored).items()
            if was != given[field]
        ]
        if changed:
            raise RecipeError(
                f"the tolerance of '{name}' is {', '.join(changed)} in {self.path.name}. Give the stored one, or run: "
                f"{self.again} - then review and commit the file."
            )
        return stored

    def _same_rows(self, before: dict, now: dict, name: str) -> None:
        __tracebackhide__ = True
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


def _tolerance(entry: dict) -> Tolerance:
    return Tolerance(**entry["allowed"])
