"""The latency file: the numbers of one row, and how the file is read and written (see `records` for its fields)."""

from pathlib import Path

import numpy as np

from edgefair.files import read_record, write_record
from edgefair.latency.early_stopping import upper_estimate
from edgefair.latency.records import LatencyRecord

SCHEMA, KIND = 1, "edgefair-latency"
PERCENTILES = (50, 90, 99)


def summary(times_ms: np.ndarray, batch: int = 1, joules: float | None = None) -> dict:
    """Percentiles, mean, MLPerf's upper estimate of p90 and images per second of calls of `batch` images each."""
    images = batch * len(times_ms)
    return {
        **{f"p{q}_ms": float(np.percentile(times_ms, q)) for q in PERCENTILES},
        "mean_ms": float(times_ms.mean()),
        "calls": len(times_ms),
        "p90_upper_ms": upper_estimate(times_ms),
        "images_per_s": float(images / (times_ms.sum() / 1e3)),
        "joules_per_image": None if joules is None else joules / images,
    }


def read_latency(path: Path) -> LatencyRecord:
    """A latency file; raises DataError where it is missing, damaged, or something else."""
    return read_record(path, LatencyRecord, "Write one with edgefair bench ... --json FILE.")


def write_latency(path: Path, values: dict) -> None:
    """Write a latency file."""
    write_record(path, LatencyRecord, values)
