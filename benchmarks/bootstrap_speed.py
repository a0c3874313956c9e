"""Resampling from counts beside fairlearn's bootstrap of rows: the same metric, the same rows, side by side.

    OMP_NUM_THREADS=1 python benchmarks/bootstrap_speed.py [--repeats 5] [--fairlearn-replicates 100]

Claims: 10,000 replicates of mean and largest gap drift at 200,000 rows, 16 classes and 2 groups take under 0.2 s on one
core; a replicate of one class's recall gap from counts costs less than a ten-thousandth of one of fairlearn's
`MetricFrame(n_boot=...)`; and both spread alike. fairlearn is given the cheapest metric function there is, not
scikit-learn's `recall_score`, which is slower.
"""

import argparse
import time

import common
import numpy as np
from fairlearn.metrics import MetricFrame

from edgefair.metrics import confusion
from edgefair.metrics.gap_drift import gap_drift_bound
from edgefair.metrics.paired import paired_counts
from edgefair.seeds import generator

ROWS, CLASSES, GROUPS = 200_000, 16, 2
REPLICATES = 10_000
SEED = 0
QUANTILES = [0.1587, 0.5, 0.8413]


def rows() -> tuple[np.ndarray, ...]:
    """Labels, groups, and what a reference (recall 0.75) and a candidate (2 % flips) predict: int64 [N] each."""
    rng = generator(SEED, "statistics")
    labels, groups = rng.integers(0, CLASSES, ROWS), rng.integers(0, GROUPS, ROWS)
    other = (labels + rng.integers(1, CLASSES, ROWS)) % CLASSES
    reference = np.where(rng.random(ROWS) < 0.75 - 0.05 * groups, labels, other)
    candidate = np.where(rng.random(ROWS) < 0.02, rng.integers(0, CLASSES, ROWS), reference)
    return labels, groups, reference, candidate


def gap_from_counts(table: np.ndarray, replicates: int, rng: np.random.Generator) -> np.ndarray:
    """The recall gap of class 0 in resamples of its right and wrong rows in each group: [replicates]."""
    support, hits = table[:, 0].sum(axis=-1), table[:, 0, 0]  # [G]
    rates = rng.binomial(support, hits / support, size=(replicates, GROUPS)) / support
    return rates.max(axis=1) - rates.min(axis=1)


def recall_of_class_0(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """What fairlearn computes for each group and replicate."""
    return np.mean(np.asarray(y_pred)[np.asarray(y_true) == 0] == 0)


def gap_from_rows(labels, groups, predicted, replicates: int, seed: int) -> np.ndarray:
    """fairlearn's bootstrap of the same gap: its quantiles at QUANTILES, [3]."""
    frame = MetricFrame(
        metrics=recall_of_class_0,
        y_true=labels,
        y_pred=predicted,
        sensitive_features=groups,
        n_boot=replicates,
        ci_quantiles=QUANTILES,
        random_state=seed,
    )
    return np.array(frame.difference_ci(), dtype=float)


def timed(function, *arguments):
    """(result, CPU seconds, wall seconds); the CPU seconds are of this process, whatever else the machine does."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = function(*arguments)
    return result, time.process_time() - cpu, time.perf_counter() - wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--fairlearn-replicates", type=int, default=100)
    args = parser.parse_args()
    labels, groups, reference, candidate = rows()
    table = confusion(labels, reference, groups, CLASSES, GROUPS)
    counts = paired_counts(labels, groups, reference, candidate, CLASSES, GROUPS)
    times: dict[str, list] = {name: [] for name in ("bounds", "bounds_wall", "counts", "rows")}
    theirs = []
    for repeat in range(args.repeats):  # interleaved, so that a busy machine is busy for all
        _, cpu, wall = timed(gap_drift_bound, counts, REPLICATES, generator(SEED, "drift", repeat))
        times["bounds"].append(cpu)
        times["bounds_wall"].append(wall)
        ours, cpu, _ = timed(gap_from_counts, table, REPLICATES, generator(SEED, "gap", repeat))
        times["counts"].append(cpu / REPLICATES)
        quantiles, cpu, _ = timed(gap_from_rows, labels, groups, reference, args.fairlearn_replicates, repeat)
        times["rows"].append(cpu / args.fairlearn_replicates)
        theirs.append(quantiles)
    common.write(
        "bootstrap-speed",
        {
            "seeds": [SEED],
            "rows": ROWS,
            "classes": CLASSES,
            "groups": GROUPS,
            "replicates": REPLICATES,
            "drift_bounds_cpu_seconds": common.spread(times["bounds"]),
            "drift_bounds_wall_seconds": common.spread(times["bounds_wall"]),
            "gap_from_counts_cpu_seconds_per_replicate": common.spread(times["counts"]),
            "fairlearn_gap_cpu_seconds_per_replicate": common.spread(times["rows"]),
            "fairlearn_replicates": args.fairlearn_replicates,
            "ratio_per_replicate": common.spread([b / a for a, b in zip(times["counts"], times["rows"], strict=True)]),
            "agreement": agreement(ours, table, np.array(theirs), args.repeats * args.fairlearn_replicates),
        },
    )


def agreement(ours: np.ndarray, table: np.ndarray, theirs: np.ndarray, n: int) -> dict:
    """Median and half the central 68 % of both in points, beside the exact standard error and the Monte-Carlo error."""
    support = table[:, 0].sum(axis=-1)
    rate = table[:, 0, 0] / support  # [G]
    exact = float(np.sqrt((rate * (1 - rate) / support).sum()))
    low, middle, high = theirs.mean(axis=0)
    our_low, our_middle, our_high = np.quantile(ours, QUANTILES)
    return {
        "observed_gap_points": 100 * float(np.ptp(rate)),
        "median_points": {"counts": 100 * our_middle, "fairlearn": 100 * middle},
        "standard_error_points": {
            "exact": 100 * exact,
            "counts": 50 * (our_high - our_low),
            "fairlearn": 50 * (high - low),
        },
        # of a median and of half a central range of n normal replicates
        "monte_carlo_error_points": {"median": 125 * exact / n**0.5, "standard_error": 87 * exact / n**0.5},
        "fairlearn_replicates": n,
    }


if __name__ == "__main__":
    main()
