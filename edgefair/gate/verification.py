"""Results of `verify`: candidates with their verdicts, and where a reference came from."""

from dataclasses import asdict, dataclass, field
from typing import Any

from edgefair import __version__
from edgefair.errors import EXIT
from edgefair.files import finite
from edgefair.gate.checks import Check
from edgefair.gate.limits import Limits
from edgefair.gate.verdict import worst
from edgefair.predictions import Predictions
from edgefair.recipe import Recipe


@dataclass(frozen=True)
class Source:
    """Predictions with where they come from and, where a run folder measured them, latency and recipe."""

    name: str  # as the user can write it: FILE.npz or RUN:NAME
    predictions: Predictions
    recipe: Recipe | None = None
    # Both by batch size as text: percentiles (none where nothing was measured), and how still the machine was then.
    latency: dict[str, Any] = field(default_factory=dict)
    control: dict[str, Any] = field(default_factory=dict)

    def about(self) -> dict[str, Any]:
        """What identifies it, as JSON values."""
        return {"source": self.name, **self.predictions.about}

    def title(self) -> str:
        """One line on what ran where: runtime with version, precision, hash of the file, processor."""
        about = self.predictions.about
        runtime = " ".join(str(about[key]) for key in ("runtime", "version") if about.get(key))
        processor = about["machine"].get("processor") if isinstance(about.get("machine"), dict) else None
        digits = str(about["sha256"])[:12] if about.get("sha256") else None
        parts = (runtime, about.get("precision"), digits, processor)
        return ", ".join(str(part) for part in parts if part) or "no record of what made these predictions"


SCHEMA = 1


@dataclass(frozen=True)
class CandidateVerdict:
    """One candidate: its source and checks, or the error that kept it from being judged."""

    name: str
    outcome: str  # "pass", "fail", "inconclusive" or "error"
    sentence: str
    checks: tuple[Check, ...] = ()
    source: Source | None = None
    numbers: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The verdict as JSON values, undefined numbers as None."""
        values: dict[str, Any] = finite(
            {
                "name": self.name,
                "outcome": self.outcome,
                "sentence": self.sentence,
                "checks": [asdict(check) for check in self.checks],
                "about": self.source.about() if self.source else {},
                "numbers": self.numbers or {},
            }
        )
        return values


@dataclass(frozen=True)
class Result:
    """Everything that `edgefair verify` says, for the terminal, JSON and JUnit."""

    reference: Source
    limits: Limits
    judged: tuple[CandidateVerdict, ...]
    changes: tuple[str, ...]  # limits that differ from a recipe that fixed them before the run, in words
    recipe_sha256: str | None
    created: str
    machine: dict[str, Any]  # where it was judged

    @property
    def outcome(self) -> str:
        """error if any candidate could not be judged, else the worst verdict."""
        outcomes = [one.outcome for one in self.judged]
        return "error" if "error" in outcomes else worst(outcomes)

    def to_dict(self) -> dict[str, Any]:
        """The record, as JSON values."""
        return {
            "schema": SCHEMA,
            "kind": "edgefair-verify",
            "edgefair": __version__,
            "created": self.created,
            "outcome": self.outcome,
            "exit_code": EXIT[self.outcome],
            "reference": finite(self.reference.about()),
            "tolerances": self.limits.to_dict(),
            "tolerances_sha256": self.limits.hash,
            "recipe_sha256": self.recipe_sha256,
            "changed_after_the_run": list(self.changes),
            "judged_on": self.machine,
            "candidates": [one.to_dict() for one in self.judged],
        }
