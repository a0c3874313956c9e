"""Before anyone collects data: the smallest tolerance that so many rows support, and the rows a tolerance needs.

A candidate that changed nothing for the worse must still be shown not to have: its upper bound of the gap drift
(`gap_drift_bound`) has to be within the tolerance. Tables of such a candidate are simulated: in every (group, class)
cell n rows, of which a share f is discordant, half lost and half won. The smallest tolerance with 80 % power is the
80 % quantile of the bound over these tables.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from edgefair.errors import RecipeError
from edgefair.metrics.gap_drift import resampled_changes, skewness_levels
from edgefair.seeds import generator

FLIP_PERCENTS = (0.0, 0.4, 2.0, 5.0)
"""Discordant rows that engines show: none, fp16-like, int8-like, int8 on a hard model."""
RUNS, REPLICATES = 200, 300
MOST_ROWS = 10_000_000
_CHUNK = 1 << 20  # resampled cells at a time


class MinimumTolerance(NamedTuple):
    """The smallest tolerances, percentage points, that pass with the asked power if nothing changed for the worse."""

    flip_percent: float
    mean_points: float  # of the mean gap drift over classes
    max_points: float  # of the largest gap drift of any class


def minimum_tolerance(
    sizes: ArrayLike,
    flip_percent: float,
    rng: np.random.Generator,
    *,
    power: float = 0.8,
    confidence: float = 0.95,
    runs: int = RUNS,
    replicates: int = REPLICATES,
) -> MinimumTolerance:
    """The smallest tolerance that cells of these sizes, int [G, C], can support at a share of discordant rows.

    flip_percent: discordant rows. power: with which a candidate that changed nothing for the worse must pass.
    confidence: of the gate's bound. runs, replicates: simulated candidates, and draws of each one's bound. Points:
    Monte-Carlo error is about 2 % of the value. NaN where a cell has no rows, for nothing can be shown then.
    """
    sizes = np.asarray(sizes, dtype=np.int64)
    if (sizes == 0).any():
        return MinimumTolerance(flip_percent, math.nan, math.nan)
    bounds = drift_bounds(simulate_null(sizes, flip_percent, runs, rng), replicates, rng, confidence)  # [runs, 2]
    return MinimumTolerance(flip_percent, *(100 * np.quantile(bounds, power, axis=0)).tolist())


def minimum_tolerances(counts: np.ndarray) -> list[MinimumTolerance]:
    """What gate cells of these sizes, int [G, C], support at fp16-like and int8-like shares of discordant rows."""
    return [minimum_tolerance(counts, share, generator(0, "report", "support"), runs=100) for share in (0.4, 2.0)]


def rows_needed(
    num_classes: int,
    num_groups: int,
    flip_percent: float,
    tolerance_points: float,
    rng: np.random.Generator,
    **options: Any,
) -> tuple[int, int]:
    """Rows for each cell with which the mean and the largest drift pass this tolerance; two figures are significant.

    num_classes, num_groups: of the cells. flip_percent, tolerance_points: discordant rows, and what they must support.
    options are those of `minimum_tolerance`. Raises RecipeError for a tolerance of 0, which no data can support.
    """
    if tolerance_points <= 0:
        raise RecipeError(
            f"the tolerance is {tolerance_points:g} points; no number of rows shows that, give one above 0."
        )

    @functools.cache
    def smallest(rows: int) -> MinimumTolerance:
        return minimum_tolerance(np.full((num_groups, num_classes), rows), flip_percent, rng, **options)

    return (
        _least_rows(lambda rows: smallest(rows).mean_points, tolerance_points),
        _least_rows(lambda rows: smallest(rows).max_points, tolerance_points),
    )


def plan(
    num_classes: int,
    num_groups: int,
    rows_per_cell: int,
    flip_percents: tuple[float, ...] = FLIP_PERCENTS,
    tolerance_points: float | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """What rows_per_cell rows in each of the cells can show, for each share of discordant rows; JSON values.

    num_classes, num_groups: of the cells. flip_percents: the shares. tolerance_points: with one also the rows a cell
    needs for it, for the mean and for the largest drift. seed: of the simulated tables.
    """
    for name, value, least in (
        ("classes", num_classes, 2),
        ("groups", num_groups, 2),
        ("rows-per-cell", rows_per_cell, 1),
    ):
        if value < least:
            raise RecipeError(f"--{name} is {value}; at least {least} is needed.")
    for share in flip_percents:
        if not 0 <= share <= 100:
            raise RecipeError(f"--flip-rate is {share:g}; allowed are 0 .. 100 percent.")
    rows = []
    for flips in flip_percents:
        rng = generator(seed, "plan", flips)
        row = minimum_tolerance(np.full((num_groups, num_classes), rows_per_cell), flips, rng)._asdict()
        if tolerance_points is not None:
            needed = rows_needed(num_classes, num_groups, flips, tolerance_points, rng, runs=100, replicates=200)
            row |= {"rows_for_mean": needed[0], "rows_for_max": needed[1]}
        rows.append(row)
    return {
        "classes": num_classes,
        "groups": num_groups,
        "rows_per_cell": rows_per_cell,
        "power": 0.8,
        "confidence": 0.95,
        "tolerance_points": tolerance_points,
        "seed": seed,
        "flip_rates": rows,
    }


def simulate_null(sizes: np.ndarray, flip_percent: float, runs: int, rng: np.random.Generator) -> np.ndarray:
    """Paired counts of a candidate that changes no recall, int64 [runs, G, C, 4]; unflipped rows count as right.

    sizes: rows of the cells, int [G, C]. flip_percent: of them that are discordant. runs: how many candidates.
    """
    half = flip_percent / 200
    flips = rng.binomial(sizes, 2 * half, size=(runs, *sizes.shape))  # [runs, G, C]
    won = rng.binomial(flips, 0.5)
    return np.stack([sizes - flips, flips - won, won, np.zeros_like(won)], axis=-1)


def drift_bounds(tables: np.ndarray, replicates: int, rng: np.random.Generator, confidence: float = 0.95) -> np.ndarray:
    """`gap_drift_bound` of many tables [runs, G, C, 4] of the same shape: float64 [runs, 2] = (mean, max).

    replicates: draws of each bound. confidence: of the bounds, one-sided.
    """
    groups, classes = tables.shape[1:3]
    step = max(1, _CHUNK // (groups * classes * replicates))
    bounds = []
    for start in range(0, len(tables), step):
        cells = tables[start : start + step]
        changes = resampled_changes(cells.reshape(-1, 4), replicates, rng)
        changes = changes.reshape(len(cells), groups, classes, replicates)
        drift = changes.max(axis=1) - changes.min(axis=1)  # [chunk, C, replicates]
        over_classes = np.stack([drift.mean(axis=1), drift.max(axis=1)], axis=1)  # [chunk, 2, replicates]
        levels = skewness_levels(cells, confidence)  # [chunk, 2]
        bounds += [
            [np.quantile(*pair) for pair in zip(*run, strict=True)] for run in zip(over_classes, levels, strict=True)
        ]
    return np.array(bounds)


def _least_rows(smallest_points: Callable[[int], float], tolerance_points: float) -> int:
    """The least rows whose smallest tolerance is within the given one: doubled, then interpolated on log scales."""
    rows, points = 8, smallest_points(8)
    before = (1, 2 * points)
    while points > tolerance_points:
        if rows > MOST_ROWS:
            raise RecipeError(
                f"a tolerance of {tolerance_points:g} points needs over {MOST_ROWS:,} rows a cell; give a larger one."
            )
        before, rows = (rows, points), 2 * rows
        points = smallest_points(rows)
    if points >= before[1]:
        return rows
    share = math.log(before[1] / tolerance_points) / math.log(before[1] / max(points, 1e-9))
    return int(float(f"{before[0] * (rows / before[0]) ** min(1.0, max(0.0, share)):.2g}"))
