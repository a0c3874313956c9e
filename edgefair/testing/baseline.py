"""The committed baseline of exported engines: what each did on its rows, and how much worse it may become.

On the same rows the disparity of an engine is a fact and needs no interval; that fact is what is compared here. Whether
images like these are served alike is another claim, judged by the paired gate where a reference is given.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgefair.errors import DataError, RecipeError, listed, nearest
from edgefair.files import read_record, write_record
from edgefair.gate import Tolerance
from edgefair.predictions import Predictions
from edgefair.testing import Inconclusive, Unfair, _loaded, assert_fair
from edgefair.testing.facts import compare_facts, observe, vanished
from edgefair.testing.records import BaselineFile, EngineFacts

SCHEMA = 1


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
            wanted = tolerance or (self._tolerance(name, entries[name]) if name in entries else Tolerance())
            return self._renew(name, entries, candidate, reference, wanted, how)
        before = self._entry(entries, name)
        wanted = self._same_tolerance(before, tolerance, name)
        now = observe(candidate, wanted)
        self._judge(name, before.model_dump(), now)
        if reference is not None:
            assert_fair(reference, candidate, wanted, **how)
        return now

    def _renew(
        self,
        name: str,
        entries: dict,
        candidate: Predictions,
        reference: Predictions | Path | str | None,
        wanted: Tolerance,
        how: dict,
    ) -> dict:
        """Write the entry, unless the paired gate refuses the engine; too few rows are written and still reported."""
        __tracebackhide__ = True
        now = observe(candidate, wanted)
        try:
            if reference is not None:
                assert_fair(reference, candidate, wanted, **how)
        except Inconclusive:
            self._write(entries, name, now)
            raise
        self._write(entries, name, now)
        return now

    def _judge(self, name: str, before: dict, now: dict) -> None:
        __tracebackhide__ = True
        self._same_rows(before, now, name)
        facts, lost = compare_facts(before, now), vanished(before, now)
        failed = [str(fact) for fact in facts if fact.outcome == "fail"] + lost
        if failed:
            raise Unfair(f"'{name}' became less fair than {self.path.name} allows, on these rows: {'; '.join(failed)}.")
        undefined = [fact.what for fact in facts if fact.outcome != "pass"]
        if undefined or now["missing_cells"]:
            first = f"{listed(undefined)} undefined; " if undefined else ""
            raise Inconclusive(f"'{name}': {first}no rows of {listed(now['missing_cells']) or 'a known group'}.")

    def _entry(self, entries: dict[str, EngineFacts], name: str) -> EngineFacts:
        __tracebackhide__ = True
        if name not in entries:
            hint = nearest(name, entries) if entries else "the file has none."
            raise DataError(
                f"{self.path} has no entry '{name}'; {hint} To add it, run: {self.again} - then review and commit the "
                "file."
            )
        return entries[name]

    def _repair_hint(self) -> str:
        return f"Restore it from version control, or delete it and run: {self.again} - then review and commit the file."

    def _same_tolerance(self, before: EngineFacts, tolerance: Tolerance | None, name: str) -> Tolerance:
        __tracebackhide__ = True
        stored = self._tolerance(name, before)
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

    def _read(self) -> dict[str, EngineFacts]:
        if not self.path.exists():
            return {}
        return read_record(self.path, BaselineFile, self._repair_hint()).engines

    def _write(self, entries: dict[str, EngineFacts], name: str, now: dict) -> None:
        engines = {other: entry.model_dump(exclude_unset=True) for other, entry in entries.items()} | {name: now}
        content = {"schema": SCHEMA, "engines": engines}
        write_record(self.path, BaselineFile, content, sort_keys=True, ensure_ascii=False)

    def _tolerance(self, name: str, entry: EngineFacts) -> Tolerance:
        try:
            return Tolerance(**entry.allowed.model_dump())
        except RecipeError as error:
            raise DataError(f"{self.path}: engines.{name}.allowed: {error} {self._repair_hint()}") from None
