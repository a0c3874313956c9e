"""How often the gate passes what it must not, and how often it passes what it should: simulated from counts.

    OMP_NUM_THREADS=1 python benchmarks/gate_power.py [--runs 600] [--replicates 200]

Claims: at the tolerance boundary (a candidate that is worse by exactly the tolerance) the upper bound of the gap drift
passes in at most 7 % of cases anywhere on the grid, nominal 5 %; and the power where nothing changed. Three kinds of
harm: "hurt", one group loses the tolerance in every class; "traded", one group loses half of it and another wins half,
which leaves accuracy as it was; "one class", all of the harm is in one class (for the largest drift). A point that
comes out above 5.5 % is simulated again with ten times the runs, and only the second estimate counts.
"""

import argparse
import itertools
import time

import common
import numpy as np
from gate_power_plot import draw

from edgefair.files import write_bytes
from edgefair.plan import drift_bounds
from edgefair.seeds import generator

ROWS = (50, 100, 200, 500, 1000)
CLASSES = (2, 8, 16)
GROUPS = (2, 4)
FLIP_PERCENTS = (0.0, 0.4, 2.0, 5.0)
# which drift is bounded, its tolerance in points, and the harms that put a candidate on its boundary
GATES = (("mean", 2.0, ("hurt", "traded")), ("mean", 5.0, ("hurt", "traded")), ("max", 5.0, ("one class", "traded")))
RECALL = 0.8
SUSPECT = 0.055


def shares(harm: str, classes: int, groups: int, flip_percent: float, tolerance_points: float) -> np.ndarray:
    """Chances of (both right, lost, won, both wrong), [G, C, 4], of a candidate on the boundary, or unharmed ("none").

    Rows flip at the given rate beside the harm: what is lost beyond it is won elsewhere.
    """
    change = np.zeros((groups, classes))
    tolerance = tolerance_points / 100
    if harm == "hurt":
        change[0] = -tolerance
    elif harm == "traded":
        change[0], change[-1] = -tolerance / 2, tolerance / 2
    elif harm == "one class":
        change[0, 0] = -tolerance
    won = np.maximum((flip_percent / 100 + change) / 2, np.maximum(change, 0))
    lost = won - change
    return np.stack([RECALL - lost, lost, won, 1 - RECALL - won], axis=-1)


def share_of_passes(point: dict, runs: int, replicates: int, rng: np.random.Generator) -> float:
    """Share of simulated candidates whose upper bound is within the tolerance."""
    size = point["groups"], point["classes"]
    chances = shares(point["harm"], *size[::-1], point["flip_percent"], point["tolerance_points"])
    tables = rng.multinomial(point["rows_per_cell"], chances, size=(runs, *size))  # [runs, G, C, 4]
    bounds = drift_bounds(tables, replicates, rng)[:, 0 if point["drift"] == "mean" else 1]
    return float((100 * bounds <= point["tolerance_points"] + 1e-9).mean())


def grid() -> list[dict]:
    """Every point: the two drifts with their tolerances, each boundary and the unharmed candidate."""
    names = ("rows_per_cell", "classes", "groups", "flip_percent")
    return [
        dict(zip(names, values, strict=True)) | {"drift": drift, "tolerance_points": tolerance, "harm": harm}
        for drift, tolerance, harms in GATES
        for harm in (*harms, "none")
        for values in itertools.product(ROWS, CLASSES, GROUPS, FLIP_PERCENTS)
    ]


def simulate(point: dict, runs: int, replicates: int) -> dict:
    """The point with its share of passes, the runs behind it, and the standard error."""
    passes = share_of_passes(point, runs, replicates, generator(0, "gate-power", sorted(point.items())))
    if point["harm"] != "none" and passes > SUSPECT:
        runs = 10 * runs
        passes = share_of_passes(point, runs, replicates, generator(1, "gate-power", sorted(point.items())))
    return {**point, "passes": passes, "standard_error": (passes * (1 - passes) / runs) ** 0.5, "runs": runs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=600)
    parser.add_argument("--replicates", type=int, default=200)
    args = parser.parse_args()
    started = time.process_time()
    points = [simulate(point, args.runs, args.replicates) for point in grid()]
    harmed = sorted((point for point in points if point["harm"] != "none"), key=lambda point: -point["passes"])
    figures = {
        "seeds": [0, 1],
        "replicates": args.replicates,
        "cpu_seconds": time.process_time() - started,
        "boundary_points": len(harmed),
        "largest_false_pass_rate": harmed[0]["passes"],
        "largest_false_pass_points": harmed[:5],
        "median_false_pass_rate": float(np.median([point["passes"] for point in harmed])),
        "points": points,
    }
    common.write("gate-power", figures)
    write_bytes(common.RESULTS / "gate-power.svg", draw(points).encode())


if __name__ == "__main__":
    main()
