"""Float and INT8 files of a student for every target that this machine can run, and what INT8 changes row by row."""

from pathlib import Path

import methods
import numpy as np

from edgefair.data import Examples
from edgefair.metrics.paired import LOST, WON, paired_outcomes
from edgefair.pipeline.build_artefacts import make_artefacts
from edgefair.recipe import Recipe
from edgefair.recipe.targets import TARGETS
from edgefair.runtimes import load_runtime, manifest, predict_rows, runtime_class
from edgefair.runtimes.records import ManifestEntry
from edgefair.significance import paired_change_interval, wilson

PRECISIONS = ("fp32", "int8")


def targets() -> tuple[list[str], dict[str, str]]:
    """The targets whose files run on this machine, and of the others the reason."""
    reasons = {name: runtime_class(target.runtime).run_unavailable_reason() for name, target in TARGETS.items()}
    return [name for name, why in reasons.items() if not why], {name: why for name, why in reasons.items() if why}


def make(recipe: Recipe, examples: Examples, weights: Path, folder: Path) -> dict[str, ManifestEntry]:
    """Float and INT8 file for every such target in `folder`: name -> entry, float before INT8."""
    folder.mkdir(parents=True, exist_ok=True)
    builds = [(target, precision) for target in targets()[0] for precision in PRECISIONS]
    make_artefacts(recipe, examples, weights, folder, builds, methods.QUIET)
    return {f"{one.target} {one.precision}": one for one in manifest.read(folder)}


def predicted(entry: ManifestEntry, folder: Path, examples: Examples) -> np.ndarray:
    """Classes that a file says of the gate rows, int64 [N]."""
    with load_runtime(entry.runtime, folder / entry.file, 1) as runtime:
        return predict_rows(runtime, examples.images, examples.rows["gate"], lambda _: None).argmax(1)


def accuracy(labels: np.ndarray, classes: np.ndarray) -> dict:
    """Percent of rows that are right, with Wilson's interval of 95 %."""
    right = int((classes == labels).sum())
    return {
        "accuracy_percent": 100 * right / len(labels),
        "accuracy_interval_percent": (100 * wilson(right, len(labels))).tolist(),
    }


def change(labels: np.ndarray, reference: np.ndarray, candidate: np.ndarray) -> dict:
    """Change of accuracy from reference to candidate on the same rows with Tango's interval, and rows that flip."""
    counts = np.bincount(paired_outcomes(labels, reference, candidate), minlength=4)
    lost, won, size = int(counts[LOST]), int(counts[WON]), len(labels)
    return {
        "change_points": 100 * (won - lost) / size,
        "change_interval_points": [100 * end for end in paired_change_interval(lost, won, size)],
        "flips_percent": 100 * float((reference != candidate).mean()),
    }
