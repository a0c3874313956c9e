"""What a candidate may lose against its reference before the gate refuses it."""

import math
from dataclasses import dataclass

from edgefair.errors import RecipeError
from edgefair.recipe import GateRecipe


@dataclass(frozen=True)
class Tolerance:
    """What the candidate may lose; points are percentage points. Fix it before the run."""

    mean_drift_points: float = 2.0
    """Allowed worsening of the recall gap between groups, mean over classes."""
    max_drift_points: float | None = None
    """Allowed worsening of the largest recall gap of any class; None: `supported_max_drift_points` where rows allow."""
    supported_max_drift_points: float | None = 5.0
    """The same where `max_drift_points` is not set, if the cells are large enough to show it at 5 % discordant rows
    (claim "same" only); None: then only reported."""
    accuracy_drop_points: float = 1.0
    """Allowed loss of accuracy over all rows."""
    worst_group_drop_points: float = 2.0
    """Allowed loss of accuracy of the group that loses most."""
    flip_rate_percent: float | None = 10.0
    """Allowed share of rows whose predicted class differs, of all rows and of each group (claim "same" only); None: not
    gated."""
    min_entropy_ratio: float = 0.5
    """Least entropy of the candidate's predicted classes as a share of the reference's; less counts as collapsed."""
    min_class_ratio: float = 0.5
    """Least share that each class must keep of the reference's predictions of it; less counts as collapsed."""
    min_cell: int = 30
    """Cells of fewer rows are named as not covered; `min_class_ratio` holds for classes predicted this often."""
    replicates: int = 2000
    """Draws behind every resampled bound and noise floor."""
    confidence: float = 0.95
    """One-sided confidence of every bound."""

    def __post_init__(self):
        for name in ("mean_drift_points", "accuracy_drop_points", "worst_group_drop_points"):
            _demand(name, getattr(self, name), 0, 100)
        for name in ("max_drift_points", "supported_max_drift_points", "flip_rate_percent"):
            if getattr(self, name) is not None:
                _demand(name, getattr(self, name), 0, 100)
        _demand("min_entropy_ratio", self.min_entropy_ratio, 0, 1)
        _demand("min_class_ratio", self.min_class_ratio, 0, 1)
        _demand("min_cell", self.min_cell, 1, math.inf)
        _demand("replicates", self.replicates, 100, math.inf)
        _demand("confidence", self.confidence, 0.5, 0.999)


def _demand(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise RecipeError(
            f"tolerance '{name}' is {value}; allowed is {low:g} .. {high:g}. Change it in [gate] or by its flag."
        )


def tolerance(gate: GateRecipe, claim: str) -> Tolerance:
    """The tolerances that the recipe sets for a claim: artefact beside student, or student beside teacher."""
    prefix = "teacher_" if claim == "no_worse" else ""
    points = {
        name: getattr(gate, prefix + name)
        for name in ("mean_drift_points", "accuracy_drop_points", "worst_group_drop_points")
    }
    largest = gate.max_drift_points if claim == "same" else None
    rest = {"flip_rate_percent": gate.flip_percent, "min_cell": gate.min_cell, "replicates": gate.replicates}
    return Tolerance(**points, max_drift_points=largest, **rest)
