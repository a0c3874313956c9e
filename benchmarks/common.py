"""Shared by the benchmarks: what was measured where, and where the figures go."""

import importlib.metadata
import json
import statistics
from datetime import UTC, datetime
from pathlib import Path

from edgefair.files import write_json
from edgefair.runtimes.machine import describe_machine

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("edgefair", "torch", "numpy", "onnx", "onnxruntime", "openvino", "nncf", "timm", "fairlearn")


def versions() -> dict:
    """Installed versions of what a figure depends on."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def today() -> str:
    """The date, in UTC."""
    return datetime.now(UTC).date().isoformat()


def write(name: str, figures: dict) -> None:
    """Write figures with machine, versions and date to benchmarks/results/NAME.json, and print them."""
    record(name, figures)
    print(json.dumps(json.loads((RESULTS / f"{name}.json").read_text()), indent=1))


def record(name: str, figures: dict) -> None:
    """Write figures with machine, versions and date to benchmarks/results/NAME.json."""
    whole = {
        "date": today(),
        "machine": describe_machine(),
        "versions": versions(),
        **figures,
    }
    write_json(RESULTS / f"{name}.json", whole)


def spread(values: list[float]) -> dict:
    """Median, range and number of repeated measurements."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "n": len(values)}
