"""The gate: is the candidate as accurate and as fair as the reference, on rows like these? pass, fail or inconclusive.

Two claims. "same" (equivalence): the candidate is meant to be the reference in another form (fp16, int8, another
runtime), so every change counts. "no_worse" (non-inferiority): the candidate was trained anew (a student beside its
teacher) and may change for the better.
Inconclusive is never a pass: it says that there are too few rows to know.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edgefair.errors import listed
from edgefair.files import finite
from edgefair.gate.checks import (
    Check,
    accuracy_check,
    collapse_check,
    flip_check,
    group_flip_check,
    max_drift_check,
    mean_drift_check,
    worst_group_check,
)
from edgefair.gate.claims import CLAIMS, EQUIVALENCE, canonical_claim
from edgefair.gate.tolerance import Tolerance
from edgefair.metrics import deo_max, flip_rate, group_accuracy
from edgefair.metrics.comparison import Pair, align
from edgefair.metrics.evaluate import disparity_floor
from edgefair.metrics.gap_drift import gap_drift
from edgefair.metrics.noise_floor import NoiseFloor
from edgefair.predictions import Predictions
from edgefair.seeds import generator

__all__ = ["CLAIMS", "Check", "Tolerance", "Verdict", "compare", "compare_pair", "verdict_sentence", "worst"]


OUTCOMES = ("fail", "inconclusive", "pass")
"""The worst first."""


@dataclass(frozen=True)
class Verdict:
    """The outcome, every check behind it, the numbers, and one paragraph that says it in words."""

    outcome: str  # "pass", "fail" or "inconclusive"
    claim: str  # "same" or "no_worse"
    checks: tuple[Check, ...]
    numbers: dict[str, Any]
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """The verdict as JSON values, undefined numbers as None."""
        values: dict[str, Any] = finite(asdict(self))
        return values


def compare(
    reference: Predictions, candidate: Predictions, tolerance: Tolerance, *, claim: str = EQUIVALENCE, seed: int = 0
) -> Verdict:
    """Judge the candidate against the reference on the same examples, matched by id in any order.

    tolerance: what may be lost. claim: "same" or "no_worse", or "equivalence" or "non-inferiority" as the field says.
    seed: of every resampled bound and noise floor.
    Any failed check fails the verdict, else any inconclusive one makes it inconclusive, else it passes. Rows count as
    independent unless the predictions name identities; then whole identities are resampled.
    Raises DataError where ids, labels, groups, declared names or data hashes differ, or where there are no rows.
    """
    return compare_pair(align(reference, candidate), tolerance, claim=claim, seed=seed)


def compare_pair(
    pair: Pair,
    tolerance: Tolerance,
    *,
    claim: str = EQUIVALENCE,
    seed: int = 0,
    floors: tuple[NoiseFloor | None, NoiseFloor | None] = (None, None),
) -> Verdict:
    """`compare` for the two sides of a `pair`, which are aligned already; claim and the others are as there.

    floors: what `disparity_floor` gives for each side with the tolerance's replicates and this seed, where it is drawn
    already (`evaluate_with_floor`); None: it is drawn here.
    """
    claim = canonical_claim(claim)
    checks = [
        accuracy_check(pair, tolerance),
        worst_group_check(pair, tolerance),
        mean_drift_check(pair, tolerance, claim, generator(seed, "gate", "mean drift")),
        max_drift_check(pair, tolerance, claim, generator(seed, "gate", "max drift")),
        flip_check(pair, tolerance, claim),
        group_flip_check(pair, tolerance, claim),
        collapse_check(pair, tolerance),
    ]
    numbers = _numbers(pair, tolerance, seed, floors) | {"seed": seed, "tolerance": asdict(tolerance)}
    outcome = worst([check.outcome for check in checks if check.gated])
    if outcome == "pass" and numbers["covers_no_gap"]:
        outcome = "inconclusive"  # there is nothing that the pass would speak of
    return Verdict(outcome, claim, tuple(checks), numbers, verdict_sentence(outcome, checks, numbers, pair))


def worst(outcomes: list[str]) -> str:
    """fail if any failed, else inconclusive if any is, else pass."""
    return next((outcome for outcome in OUTCOMES if outcome in outcomes), "pass")


def _numbers(
    pair: Pair, tolerance: Tolerance, seed: int, floors: tuple[NoiseFloor | None, NoiseFloor | None]
) -> dict[str, Any]:
    sizes = pair.counts.sum(axis=-1)  # [G, C]
    small = sizes < tolerance.min_cell  # these cells are not covered
    gaps = (~small).sum(axis=0) >= min(2, pair.shape[1])  # [C] a gap takes two cells; with one group a cell is all
    drift = gap_drift(pair.counts) if pair.compares_groups else np.full(pair.shape[0], np.nan)  # [C]
    numbers = {
        "rows": len(pair.labels),
        "rows_without_group": pair.rows_without_group,
        "identities": pair.num_identities,
        "smallest_cell_rows": int(sizes.min()),
        "largest_cell_rows": int(sizes.max()),
        "small_cells": [pair.cell_name(*cell) for cell in np.argwhere(small)],
        "covers_no_gap": not gaps.any(),
        "mean_drift_points": 100 * float(drift.mean()),
        "max_drift_points": 100 * float(drift.max()),
        "drift_points_by_class": (100 * drift).tolist(),
        "flip_percent_by_group": (100 * flip_rate(pair.pred_ref, pair.pred_cand, pair.groups, pair.shape[1])).tolist(),
    }
    sides = zip(("reference", "candidate"), (pair.pred_ref, pair.pred_cand), pair.tables, floors, strict=True)
    for name, pred, table, drawn in sides:
        floor = disparity_floor(table, tolerance.replicates, seed) if drawn is None else drawn
        numbers[name] = {
            "accuracy": float((pred == pair.labels).mean()),
            "group_accuracy": group_accuracy(table).tolist(),
            "mean_abs_disparity_points": 100 * floor.observed,
            "noise_floor_points": 100 * floor.mean,
            "noise_floor_q95_points": 100 * floor.q95,
            "permutation_p": floor.p_value,
            "deo_max_points": 100 * float(deo_max(table)),
        }
    return numbers


def verdict_sentence(outcome: str, checks: Sequence[Check], numbers: dict[str, Any], pair: Pair) -> str:
    """Every check that did not pass, the worst first, then the drift, what was observed, and what is not covered.

    outcome: what the sentence stands under, which may be worse than what the verdict's checks give. checks, numbers: of
    the verdict. pair: what it was counted on.
    """
    drift = next(check for check in checks if check.name == "mean_drift")
    named = [check for check in checks if check.gated and check.outcome != "pass" and check is not drift] + [drift]
    named.sort(key=lambda check: OUTCOMES.index(check.outcome) if check.gated else len(OUTCOMES))
    gaps = [_points(numbers[name]["mean_abs_disparity_points"]) for name in ("reference", "candidate")]
    floors = [_points(numbers[name]["noise_floor_points"]) for name in ("reference", "candidate")]
    few, most = numbers["smallest_cell_rows"], numbers["largest_cell_rows"]
    cells = f"{few:,}" if few == most else f"{few:,} to {most:,}"
    parts = [
        f"{outcome.upper()}. On {numbers['rows']:,} rows (cells of {cells} rows).",
        *(check.sentence[0].upper() + check.sentence[1:] for check in named),
        f"Mean recall gap observed: {' -> '.join(gaps)} points (noise floor {' and '.join(floors)}).",
    ]
    if numbers["rows_without_group"]:
        rows = f"{numbers['rows_without_group']:,} rows of unknown group"
        parts.append(f"{rows} count for accuracy and changed predictions only.")
    if numbers["small_cells"]:
        every = len(numbers["small_cells"]) == math.prod(pair.shape)
        none = "No class has two groups large enough for a verdict. " if numbers["covers_no_gap"] else ""
        none = "No cell is large enough for a verdict. " if every else none
        parts.append(f"{none}Says nothing about: {listed(numbers['small_cells'])}.")
    return " ".join(parts)


def _points(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.1f}"
