"""Shared by the benchmarks of methods: train students of one teacher, judge each on the gate rows."""

import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from edgefair.data import Examples
from edgefair.log import Log
from edgefair.metrics import auroc, confusion, deo_max, deo_mean, macro_scores, softmax
from edgefair.metrics.noise_floor import noise_floor
from edgefair.models import Classifier
from edgefair.recipe import Recipe, assign, parse
from edgefair.seeds import generator
from edgefair.training.stages import distil_student, train_teacher, training_device
from edgefair.training.teacher import outputs

FIGURES = ("accuracy", "auroc", "macro_f1", "deo_mean", "deo_max")
QUIET = Log(quiet=True)


def recipe_of(*changes: dict) -> Recipe:
    """A recipe from dotted names, later changes on top of earlier ones."""
    values: dict = {}
    for change in changes:
        for name, value in change.items():
            assign(values, name, value)
    return parse(values)


def teacher_of(recipe: Recipe, examples: Examples) -> tuple[Classifier, float]:
    """The recipe's teacher, trained from scratch, and the seconds it took."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        return train_teacher(recipe, examples, Path(folder), QUIET)[0], time.perf_counter() - started


def student_of(recipe: Recipe, examples: Examples, teacher: Classifier) -> tuple[Classifier, float]:
    """The recipe's student of that teacher and the seconds it took."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        return distil_student(recipe, examples, teacher, Path(folder), QUIET)[0], time.perf_counter() - started


def judge(model: Classifier, examples: Examples, recipe: Recipe, rows: str = "gate") -> dict[str, float]:
    """The figures of a network on a list of rows."""
    at = examples.rows[rows]
    logits = outputs(model, examples.images, at, training_device(recipe)).logits.numpy()
    shape = len(examples.class_names), len(examples.group_names)
    return figures(logits, examples.labels[at], examples.groups[at], shape, recipe.seed)


def figures(
    logits: np.ndarray, labels: np.ndarray, groups: np.ndarray, shape: tuple[int, int], seed: int
) -> dict[str, float]:
    """Percent and points: accuracy, AUROC, macro F1, DEO mean and max, and the noise floor of DEO.

    logits [N, C]; labels, groups [N]; shape: numbers of classes and groups; seed: of the noise floor.
    """
    table = confusion(labels, logits.argmax(1), groups, *shape)
    floor = noise_floor(table, "deo_mean", 500, generator(seed, "benchmark", "noise floor"))
    shares = {
        "accuracy": float((logits.argmax(1) == labels).mean()),
        "auroc": auroc(labels, softmax(logits)),
        "macro_f1": float(macro_scores(table)["f1"]),
        "deo_mean": float(deo_mean(table)),
        "deo_max": float(deo_max(table)),
        "noise_floor": float(floor.mean),
    }
    return {name: 100 * value for name, value in shares.items()}


def summary(rows: list[dict]) -> dict[str, dict]:
    """Mean, standard deviation over seeds (n - 1) and n of every figure."""
    names = [name for name in rows[0] if isinstance(rows[0][name], float)]
    return {
        name: {
            "mean": float(np.mean([row[name] for row in rows])),
            "std": float(np.std([row[name] for row in rows], ddof=1)) if len(rows) > 1 else None,
            "n": len(rows),
        }
        for name in names
    }


def line(name: str, row: dict[str, float]) -> str:
    """A row for the eye while the benchmark runs."""
    return f"{name:24s} " + "  ".join(f"{key} {row[key]:6.2f}" for key in (*FIGURES, "noise_floor"))


def one_thread() -> None:
    """Small networks gain little from a second thread, and results then do not depend on the number of cores."""
    torch.set_num_threads(1)
    np.seterr(all="raise", under="ignore")
