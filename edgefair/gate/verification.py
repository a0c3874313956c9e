"""Results of `verify`: candidates with their verdicts, and where a reference came from."""

from dataclasses import asdict, dataclass, field

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
    latency: dict = field(default_factory=dict)  # batch size as text -> percentiles; empty where nothing was measured
    control: dict = field(default_factory=dict)  # batch size as text -> how still the machine was then

    def about(self) -> dict:
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
    numbers: dict | None = None

    def to_dict(self) -> dict:
        """The verdict as JSON values, undefined numbers as None."""
        return finite(
            {
                "name": self.name,
                "outcome": self.outcome,
                "sentence": self.sentence,
                "checks": [asdict(check) for check in self.checks],
                "about": self.source.about() if self.source else {},
                "numbers": self.numbers or {},
            }
        )


@dataclass(frozen=True)
class Result:
    """Everything that `edgefair verify` says, for the terminal, JSON and JUnit."""

    reference: Source
    limits: Limits
    judged: tuple[CandidateVerdict, ...]
    changes: tuple[str, ...]  # limits that differ from a recipe that fixed them before the run, in words
    recipe_sha256: str | None
    created: str
    machine: dict  # where it was judged

    @property
    def outcome(self) -> str:
        """error if any candidate could not be judged, else the worst verdict."""
        outcomes = [one.outcome for one in self.judged]
        return "error" if "error" in outcomes else worst(outcomes)

    def to_dict(self) -> dict:
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
