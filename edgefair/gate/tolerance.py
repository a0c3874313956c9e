"""What a candidate may lose against its reference before the gate refuses it."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from edgefair.errors import RecipeError
from edgefair.gate.claims import NON_INFERIORITY
from edgefair.recipe import GateSettings

DEFAULTS = GateSettings()
"""The recipe's defaults are the gate's: each number stands there and nowhere else."""


class LimitNames(NamedTuple):
    """What a limit is called where users set it; "" where it cannot be set there."""

    recipe: str = ""  # field of [gate], for an artefact beside the student
    teacher: str = ""  # field of [gate], for the student beside its teacher
    flag: str = ""  # option of `edgefair verify`


LIMITS = {
    "mean_drift_points": LimitNames("mean_drift_points", "teacher_mean_drift_points", "--tolerance-mean"),
    "max_drift_points": LimitNames("max_drift_points", "", "--tolerance-max"),
    "supported_max_drift_points": LimitNames(),
    "accuracy_drop_points": LimitNames("accuracy_drop_points", "teacher_accuracy_drop_points", "--max-accuracy-drop"),
    "worst_group_drop_points": LimitNames(
        "worst_group_drop_points", "teacher_worst_group_drop_points", "--max-worst-group-drop"
    ),
    "flip_rate_percent": LimitNames("flip_percent", "flip_percent", "--max-flips"),
    "min_entropy_ratio": LimitNames(),
    "min_class_ratio": LimitNames(),
    "min_cell": LimitNames("min_cell", "min_cell"),
    "replicates": LimitNames("replicates", "replicates"),
    "confidence": LimitNames(),
    "max_latency_p90_ms": LimitNames("max_latency_p90_ms", "", "--max-latency-p90-ms"),
    "max_size_mb": LimitNames("max_size_mb", "", "--max-size-mb"),
}
"""Every limit by its name in `Tolerance` or `Limits`, which is also its name on disk."""


def how_to_change(name: str) -> str:
    """A sentence that says where a user sets the limit."""
    names = LIMITS[name]
    places = [f"gate.{names.recipe} of the recipe"] if names.recipe else []
    places += [names.flag] if names.flag else []
    return f"Change {' or '.join(places)}." if places else f"It can be set in Python only: Tolerance({name}=...)."


@dataclass(frozen=True)
class Tolerance:
    """What the candidate may lose; points are percentage points. Fix it before the run."""

    mean_drift_points: float = DEFAULTS.mean_drift_points
    """Allowed worsening of the recall gap between groups, mean over classes."""
    max_drift_points: float | None = DEFAULTS.max_drift_points
    """Allowed worsening of the largest recall gap of any class; None: `supported_max_drift_points` where rows allow."""
    supported_max_drift_points: float | None = 5.0
    """The same where `max_drift_points` is not set, if the cells are large enough to show it at 5 % discordant rows
    (claim "same" only); None: then only reported."""
    accuracy_drop_points: float = DEFAULTS.accuracy_drop_points
    """Allowed loss of accuracy over all rows."""
    worst_group_drop_points: float = DEFAULTS.worst_group_drop_points
    """Allowed loss of accuracy of the group that loses most."""
    flip_rate_percent: float | None = DEFAULTS.flip_percent
    """Allowed share of rows whose predicted class differs, of all rows and of each group (claim "same" only); None: not
    gated."""
    min_entropy_ratio: float = 0.5
    """Least entropy of the candidate's predicted classes as a share of the reference's; less counts as collapsed."""
    min_class_ratio: float = 0.5
    """Least share that each class must keep of the reference's predictions of it; less counts as collapsed."""
    min_cell: int = DEFAULTS.min_cell
    """Cells of fewer rows are named as not covered; `min_class_ratio` holds for classes predicted this often."""
    replicates: int = DEFAULTS.replicates
    """Draws behind every resampled bound and noise floor."""
    confidence: float = 0.95
    """One-sided confidence of every bound."""

    def __post_init__(self) -> None:
        for name in ("mean_drift_points", "accuracy_drop_points", "worst_group_drop_points"):
            _check_range(name, getattr(self, name), 0, 100)
        for name in ("max_drift_points", "supported_max_drift_points", "flip_rate_percent"):
            if getattr(self, name) is not None:
                _check_range(name, getattr(self, name), 0, 100)
        _check_range("min_entropy_ratio", self.min_entropy_ratio, 0, 1)
        _check_range("min_class_ratio", self.min_class_ratio, 0, 1)
        _check_range("min_cell", self.min_cell, 1, math.inf)
        _check_range("replicates", self.replicates, 100, math.inf)
        _check_range("confidence", self.confidence, 0.5, 0.999)


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise RecipeError(f"tolerance '{name}' is {value}; allowed is {low:g} .. {high:g}. {how_to_change(name)}")


def tolerance(gate: GateSettings, claim: str) -> Tolerance:
    """The tolerances that the recipe sets for a claim: artefact beside student, or student beside teacher."""
    anew = claim == NON_INFERIORITY
    fields = {name: names.teacher if anew else names.recipe for name, names in LIMITS.items()}
    declared = Tolerance.__dataclass_fields__  # limits on latency and size are none of them
    return Tolerance(**{name: getattr(gate, own) for name, own in fields.items() if own and name in declared})
