"""Points of a frontier: the runs that differ in their seed alone, with every number as mean and interval over seeds."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgefair.gate import Tolerance
from edgefair.metrics.fairness import class_gaps, signed_disparity
from edgefair.metrics.intervals import t_half_width
from edgefair.metrics.performance import prediction_variety, worst_group_accuracy
from edgefair.pipeline.summarize import artefacts_of, spread_of

# metric: the part of a report's metrics in which it stands
METRICS = {
    "accuracy": "scores",
    "weighted_recall": "scores",
    "weighted_precision": "scores",
    "weighted_f1": "scores",
    "macro_f1": "scores",
    "auroc": "scores",
    "mean_abs_disparity": "disparities",
    "deo_max": "disparities",
}
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")  # state of normalisation, not parameters
FLOATS = ("F64", "F32", "F16", "BF16")
MOST_HEADER = 100_000_000  # bytes, as the format allows


def measured(reports: list[dict], artefact: str) -> dict:
    """Numbers of one artefact over the reports of several seeds, in shares of one.

    {"seeds", "folders", "metrics": {metric: spread}, "classes": {"signed", "mean", "interval", "chance"}, "parameters",
    "collapsed"}; collapsed is the number of seeds that predict hardly more than one class.
    """
    entries = [artefacts_of(report)[artefact] for report in reports]
    metrics = {name: _spread(entries, part, name) for name, part in METRICS.items()}
    return {
        "seeds": [report["recipe"]["seed"] for report in reports],
        "folders": [report["folder"] for report in reports],
        "metrics": metrics | {"worst_group": spread_of(np.array([_worst_group(entry) for entry in entries]))},
        "classes": _classes(entries),
        "parameters": _parameters(reports, artefact),
        "collapsed": sum(
            bool(prediction_variety(np.array(entry["confusion"])) < Tolerance.min_entropy_ratio) for entry in entries
        ),
    }


def objective(metrics: dict, lam: float) -> dict:
    """A - lambda * D over seeds (Bang et al., section 2), from accuracy and mean absolute disparity of each seed."""
    accuracy, disparity = (np.array(metrics[name]["values"]) for name in ("accuracy", "mean_abs_disparity"))
    return spread_of(accuracy - lam * disparity)


def _spread(entries: list[dict], part: str, name: str) -> dict:
    spread = spread_of(_numbers(entries, lambda entry: (entry[part].get(name) or {}).get("value")))
    if part == "disparities":
        spread["floor"] = float(_numbers(entries, lambda entry: entry[part][name]["floor"]).mean())
    return spread


def _numbers(entries: list[dict], number: Callable[[dict], float | None]) -> np.ndarray:
    return np.array([math.nan if (value := number(entry)) is None else value for entry in entries])  # [S]


def _worst_group(entry: dict) -> float:
    return float(worst_group_accuracy(np.array(entry["confusion"])))


def _classes(entries: list[dict]) -> dict:
    """Disparity of each class: recall of the first minus the second of two groups, else of the best minus the worst."""
    tables = np.array([entry["confusion"] for entry in entries])  # [S, G, C, C]
    signed = tables.shape[1] == 2
    values = signed_disparity(tables) if signed else class_gaps(tables)  # [S, C]
    mean = values.mean(axis=0)
    deviation = values.std(axis=0, ddof=1) if len(values) > 1 else np.full(values.shape[1], np.nan)
    half = np.array([t_half_width(float(each), len(values)) for each in deviation])
    chance = [row.get("floor_q95") for row in entries[0].get("classes") or []]
    return {
        "signed": signed,
        "mean": mean.tolist(),
        "interval": np.stack([mean - half, mean + half], axis=-1).tolist(),
        "chance": chance if len(chance) == len(mean) else [None] * len(mean),
    }


def _parameters(reports: list[dict], artefact: str) -> int | None:
    """Numbers that the network learned, from the header of its weights; None where a run does not have the file."""
    name = "teacher" if artefact == "teacher" else "student"
    for report in reports:
        file = Path(report["folder"]) / name / f"{name}.safetensors"
        try:
            with open(file, "rb") as stream:
                size = int.from_bytes(stream.read(8), "little")
                tensors = json.loads(stream.read(min(size, MOST_HEADER)))
            learned = [t for key, t in tensors.items() if key.startswith("backbone.") and not key.endswith(BUFFERS)]
            return sum(math.prod(t["shape"]) for t in learned if t["dtype"] in FLOATS) or None
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            continue  # kept elsewhere, or no such file: the number is a convenience
    return None
