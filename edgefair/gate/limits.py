"""The limits a verdict is held to: tolerances, latency and size; hashed, with every change after the run in words."""

from dataclasses import asdict, dataclass
from typing import Any

from edgefair.errors import RecipeError
from edgefair.files import digest
from edgefair.gate.claims import EQUIVALENCE
from edgefair.gate.tolerance import Tolerance, how_to_change
from edgefair.gate.tolerance import tolerance as recipe_tolerance
from edgefair.recipe import Recipe


@dataclass(frozen=True)
class Limits:
    """All that the candidate is held to; a limit that is None is not judged."""

    claim: str  # "same" or "no_worse"
    tolerance: Tolerance
    max_latency_p90_ms: float | None = None
    max_size_mb: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_latency_p90_ms", "max_size_mb"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise RecipeError(f"'{name}' is {value:g}; allowed is anything above 0. {how_to_change(name)}")

    def to_dict(self) -> dict[str, Any]:
        """Every limit by name, as JSON values."""
        return {
            "claim": self.claim,
            **asdict(self.tolerance),
            "max_latency_p90_ms": self.max_latency_p90_ms,
            "max_size_mb": self.max_size_mb,
        }

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical form: two verdicts of one hash were held to the same limits."""
        return digest(self.to_dict())


def recipe_limits(recipe: Recipe, claim: str) -> Limits:
    """The limits that a recipe's [gate] sets for a claim; those on latency and size are for what ships."""
    gate = recipe.gate
    ships = claim == EQUIVALENCE
    extra = (gate.max_latency_p90_ms, gate.max_size_mb) if ships else (None, None)
    return Limits(claim, recipe_tolerance(gate, claim), *extra)


def with_flags(limits: Limits, flags: dict[str, Any]) -> Limits:
    """The same limits with those of the command line on top; a flag that is None was not given."""
    values = limits.to_dict() | {name: value for name, value in flags.items() if value is not None}
    own = {name: values.pop(name) for name in ("claim", "max_latency_p90_ms", "max_size_mb")}
    return Limits(tolerance=Tolerance(**values), **own)


def diff(fixed: Limits, used: Limits) -> list[str]:
    """Each limit that is not what was fixed before the run, such as "mean_drift_points 2 -> 5"."""
    before, after = fixed.to_dict(), used.to_dict()
    return [f"{name} {_word(before[name])} -> {_word(after[name])}" for name in before if before[name] != after[name]]


def _word(value: str | float | None) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else f"{value:g}"
