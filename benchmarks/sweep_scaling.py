"""A sweep with one and with two workers of one thread each: how much of the second core arrives, and the same weights.

    python benchmarks/sweep_scaling.py [--repeats 3] [--cells 4] [--epochs 12]

Claim: efficiency, the time of one worker over twice that of two, is at least 0.9. Both are timed in turn, in folders of
their own, from the start of the command to its table, libraries loaded and reports written included. Each cell has a
teacher of its own, so that as much can be done at a time as there are workers. Needs two cores with nothing else to do.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common
import tomli_w

from edgefair.data import load_examples
from edgefair.files import sha256
from edgefair.log import Log
from edgefair.pipeline.sweep.grid import read_grid

WEIGHTS = ("teacher/teacher.safetensors", "student/student.safetensors")


def write_grid(file: Path, cells: int, epochs: int) -> None:
    """The default data and networks on few rows, one cell a seed."""
    base = {"train": {"epochs": epochs}, "teacher": {"epochs": epochs}, "bench": {"repeats": 20, "batches": [1]}}
    base |= {"data": {"train_rows": 1500}, "deploy": {"targets": ["ort-cpu"], "precisions": ["fp32"]}}
    file.write_text(tomli_w.dumps({"base": base, "grid": {"seed": list(range(cells))}}))


def timed(grid: Path, out: Path, workers: int, environment: dict) -> float:
    """Seconds that a whole sweep takes."""
    command = [sys.executable, "-m", "edgefair", "sweep", str(grid), "--out", str(out), "--workers", str(workers)]
    started = time.monotonic()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def weights(out: Path) -> list[str]:
    """Hashes of every cell's networks."""
    return [sha256(run / name) for run in sorted((out / "runs").iterdir()) for name in WEIGHTS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cells", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=12)
    args = parser.parse_args()
    seconds: dict[int, list[float]] = {1: [], 2: []}
    loads, hashes = [], set()
    with tempfile.TemporaryDirectory() as place:
        grid = Path(place) / "grid.toml"
        write_grid(grid, args.cells, args.epochs)
        os.environ["EDGEFAIR_CACHE"] = f"{place}/cache"
        for cell in read_grid(grid).cells:  # images are prepared beforehand: once for all
            load_examples(cell.recipe.data, cell.recipe.seed, Log(quiet=True))
        for repeat in range(args.repeats):
            for workers in (1, 2) if repeat % 2 == 0 else (2, 1):
                loads.append(os.getloadavg()[0])
                out = Path(place) / f"{repeat}-{workers}"
                seconds[workers].append(timed(grid, out, workers, dict(os.environ)))
                hashes.add(tuple(weights(out)))
    one, two = (statistics.median(seconds[workers]) for workers in (1, 2))
    figures = {
        "cells": args.cells,
        "threads_of_a_cell": 1,
        "seconds": {str(workers): common.spread(values) for workers, values in seconds.items()},
        "speedup": one / two,
        "efficiency": one / (2 * two),
        "same_weights": len(hashes) == 1,
        "load_average_before": loads,  # of the minute before each sweep: the one before it leaves 1 or 2
        "n": args.repeats,
    }
    common.write("sweep-scaling", figures)


if __name__ == "__main__":
    main()
