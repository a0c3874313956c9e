"""Made-up predictions for the gate, and ways to spoil them."""

from dataclasses import replace

import numpy as np

from edgefair.gate import Timing, Tolerance, judge_artefact
from edgefair.gate.limits import Limits
from edgefair.predictions import Predictions

WIDE = Tolerance(accuracy_drop_points=100, worst_group_drop_points=100, flip_rate_percent=None)


def predictions(predicted, labels, groups, classes=None, num_groups=None) -> Predictions:
    labels, groups = np.asarray(labels, dtype=np.int64), np.asarray(groups, dtype=np.int64)
    classes = classes or int(labels.max()) + 1
    return Predictions(
        ids=np.array([f"row{index}" for index in range(len(labels))]),
        labels=labels,
        groups=groups,
        logits=np.eye(classes, dtype=np.float32)[np.asarray(predicted)],
        class_names=tuple(f"class{index}" for index in range(classes)),
        group_names=tuple(f"group{index}" for index in range(num_groups or int(groups.max()) + 1)),
    )


def example(cell_rows: int = 500, classes: int = 4, error_share: float = 0.2, seed: int = 0) -> Predictions:
    """Two groups, equally served, `cell_rows` rows in each cell."""
    rng = np.random.default_rng(seed)
    groups, labels = (axis.repeat(cell_rows) for axis in np.indices((2, classes)).reshape(2, -1))
    wrong = rng.random(len(labels)) < error_share
    return predictions(np.where(wrong, (labels + 1) % classes, labels), labels, groups)


def changed(reference: Predictions, rows, to) -> Predictions:
    """The same predictions with another class in some rows."""
    predicted = reference.predicted.copy()
    predicted[rows] = to
    return predictions(predicted, reference.labels, reference.groups)


def check(verdict, name):
    return next(check for check in verdict.checks if check.name == name)


REFERENCE = example(cell_rows=400)
SAME = replace(REFERENCE, about={"bytes": 2_000_000})
FAST = {"1": {"p90_ms": 1.0, "p90_upper_ms": 1.5}}
TOLERANCE = Tolerance(replicates=200)
TIMED = Timing(FAST)


def judge(candidate=SAME, timing=TIMED, **limits):
    """The judgement of a candidate beside REFERENCE; limits: on latency and size."""
    return judge_artefact(REFERENCE, candidate, Limits("same", TOLERANCE, **limits), timing=timing)
