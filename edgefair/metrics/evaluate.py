"""Metrics of one set of predictions: scores with intervals, disparities with noise floors, each class."""

from typing import Any

import numpy as np

from edgefair.metrics.confusion_matrix import confusion, recall, undefined_counts
from edgefair.metrics.fairness import METRICS, class_gaps, extreme_groups, signed_disparity
from edgefair.metrics.intervals import wilson
from edgefair.metrics.noise_floor import NoiseFloor, chance_floor, noise_floor, permuted_values
from edgefair.metrics.performance import (
    auroc,
    auroc_standard_error,
    calibration_error,
    group_accuracy,
    macro_scores,
    softmax,
    weighted_scores,
)
from edgefair.predictions import Predictions
from edgefair.seeds import generator


def evaluate(predictions: Predictions, draws: int, seed: int) -> dict[str, Any]:
    """Scores over all rows, disparities over rows of known group, in shares of one; intervals are of 95 %."""
    return evaluate_with_floor(predictions, draws, seed)[0]


def evaluate_with_floor(predictions: Predictions, draws: int, seed: int) -> tuple[dict[str, Any], NoiseFloor]:
    """`evaluate`, and the noise floor of `mean_abs_disparity` as `disparity_floor` gives it, drawn once for both."""
    shape = (len(predictions.class_names), len(predictions.group_names))
    table = confusion(predictions.labels, predictions.predicted, predictions.groups, *shape)  # [G, C, C]
    everyone = confusion(
        predictions.labels, predictions.predicted, np.zeros_like(predictions.labels), shape[0], 1
    )  # [1, C, C]
    probabilities = softmax(predictions.logits)
    disparities, floor = _disparities(table, draws, seed)
    metrics = {
        "rows": len(predictions.ids),
        "rows_without_group": predictions.rows_without_group,
        "scores": _scores(predictions, probabilities, everyone, draws, generator(seed, "evaluate", "scores")),
        "disparities": disparities,
        "groups": _groups(table, predictions, probabilities),
        "classes": _classes(table, predictions, draws, generator(seed, "evaluate", "classes")),
        "confusion": table,
        "undefined": undefined_counts(table),
    }
    return metrics, floor


def disparity_floor(table: np.ndarray, draws: int, seed: int) -> NoiseFloor:
    """The noise floor of `mean_abs_disparity` of a confusion tensor [G, C, C] that gate and report share."""
    return noise_floor(table, "mean_abs_disparity", draws, _floor_generator(seed))


def _floor_generator(seed: int) -> np.random.Generator:
    return generator(seed, "noise floor")


def _scores(
    predictions: Predictions, probabilities: np.ndarray, everyone: np.ndarray, draws: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Accuracy (Wilson), precision, recall and F1 of both averages (resampled counts), macro AUROC (rank variance)."""
    n = int(everyone.sum())
    right = int(np.trace(everyone[0]))
    tables = rng.multinomial(n, everyone.ravel() / n, size=draws).reshape(draws, *everyone.shape)
    scores: dict[str, dict[str, Any]] = {"accuracy": {"value": right / n, "interval": wilson(right, n)}}
    for average, function in (("macro", macro_scores), ("weighted", weighted_scores)):
        values, resampled = function(everyone), function(tables)
        for name in ("precision", "recall", "f1"):
            interval = np.quantile(resampled[name], (0.025, 0.975))
            scores[f"{average}_{name}"] = {"value": values[name], "interval": interval}
    area, error = auroc(predictions.labels, probabilities), auroc_standard_error(predictions.labels, probabilities)
    scores["auroc"] = {"value": area, "interval": np.clip((area - 1.96 * error, area + 1.96 * error), 0, 1)}
    return scores


def _disparities(table: np.ndarray, draws: int, seed: int) -> tuple[dict[str, Any], NoiseFloor]:
    # One set of permutations for all metrics, and the gate's own: one disparity has one floor on a page.
    observed, chance = permuted_values(
        table,
        lambda tables: np.stack([metric(tables) for metric in METRICS.values()], axis=-1),
        draws,
        _floor_generator(seed),
    )
    every = chance_floor(observed, chance)
    disparities = {
        name: {"value": value, "floor": mean, "floor_q95": q95, "p_value": p}
        for name, mean, q95, p, value in zip(METRICS, *np.stack(every), strict=True)
    }
    mean_place = list(METRICS).index("mean_abs_disparity")
    # A column of its own: NumPy adds a matrix in another order, and the last bit of a mean would differ.
    return disparities, chance_floor(observed[mean_place], chance[:, mean_place].copy())


def _groups(table: np.ndarray, predictions: Predictions, probabilities: np.ndarray) -> list[dict[str, Any]]:
    names, sizes = predictions.group_names, table.sum(axis=(-2, -1))  # [G]
    errors = calibration_error(predictions.labels, probabilities, predictions.groups, len(names))  # [G]
    return [
        {
            "name": name,
            "rows": int(size),
            "accuracy": rate,
            "interval": wilson(round(rate * size) if size else 0, size),
            "calibration_error": error,
        }
        for name, size, rate, error in zip(names, sizes, group_accuracy(table), errors, strict=True)
    ]


def _classes(table: np.ndarray, predictions: Predictions, draws: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    mean, q95, p_value, gap = np.stack(noise_floor(table, class_gaps, draws, rng))  # [C] each
    best, worst = extreme_groups(table)
    signed = signed_disparity(table) if len(predictions.group_names) == 2 else [None] * len(predictions.class_names)
    rates, sizes = recall(table), table.sum(axis=-1)  # [G, C]
    groups = predictions.group_names
    return [
        {
            "name": name,
            "rows": sizes[:, c],
            "recall": rates[:, c],
            "gap": gap[c],
            "signed": signed[c],
            "best_group": groups[best[c]] if best[c] >= 0 else None,
            "worst_group": groups[worst[c]] if worst[c] >= 0 else None,
            "floor": mean[c],
            "floor_q95": q95[c],
            "p_value": p_value[c],
        }
        for c, name in enumerate(predictions.class_names)
    ]
