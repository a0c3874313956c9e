"""The latency file: what was timed where, by the SHA-256 of each file, as `bench`, the main job and devices write it.

    {"schema": 1, "kind": "edgefair-latency", "measured", "machine", "threads", "scenario", "rules", "preprocessing",
     "clocks", "energy", "files": {NAME: {"sha256", "bytes", "runtime", "load_ms", ...}},
     "artefacts": {NAME: {BATCH: {"p50_ms", "p90_ms", "p99_ms", "mean_ms", "calls", "p90_upper_ms", "images_per_s",
                                  "joules_per_image", "speedup": {"to", "p50", "p90", "mean"}}}},
     "control": {BATCH: {"ratio", "interval", "quiet"}}, "rounds": {BATCH: {NAME: {"p50_ms", "p90_ms", "mean_ms"}}}}

A batch is a text, for JSON has no other keys. control is the first artefact beside itself: how still the machine was.
"""

import json
from pathlib import Path

import numpy as np

from edgefair.errors import DataError
from edgefair.latency.early_stopping import upper_estimate

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


def read(path: Path) -> dict:
    """A latency file; raises DataError where it is missing, damaged, or something else."""
    try:
        record = json.loads(Path(path).read_text())
        kind, schema = record["kind"], record["schema"]
        for name, file in record["files"].items():
            numbers = [file["batch"], *(row["p90_ms"] for row in record["artefacts"][name].values())]
            if not all(isinstance(number, int | float) for number in numbers):
                raise ValueError(f"of {name}, batch or p90_ms is no number")
        if not isinstance(record["control"], dict) or not isinstance(record["machine"], dict):
            raise ValueError("control and machine are no tables")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} is not a readable latency file ({type(error).__name__}: {error}). "
            "Write one with edgefair bench ... --json FILE."
        ) from error
    if (kind, schema) != (KIND, SCHEMA):
        raise DataError(f"{path} is a '{kind}' of schema {schema}; this version reads '{KIND}' of schema {SCHEMA}.")
    return record


def of_file(record: dict, sha256: str | None) -> tuple[str, dict]:
    """Name and rows, {batch: row}, of the file of that hash; ("", {}) where it was not timed."""
    for name, file in record["files"].items():
        if sha256 and file["sha256"] == sha256:
            return name, record["artefacts"].get(name, {})
    return "", {}
