"""Load time and memory of one artefact in a fresh process.

python -m edgefair.latency.probe RUNTIME FILE THREADS N S
"""

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from edgefair.runtimes import Runtime, load_runtime, runtime_class
from edgefair.runtimes.gpu import memory_used_mb
from edgefair.runtimes.targets import runs_on_gpu

CALLS = 3
NOTHING = {"load_ms": None, "first_call_ms": None, "memory_mb": None, "gpu_memory_mb": None}


def probe(runtime: str, path: Path, threads: int, batch: int, size: int) -> dict:
    """What a fresh process needs for a file: {load_ms, first_call_ms, memory_mb, gpu_memory_mb}, None where unknown.

    load_ms: from the file to a runtime that is ready, libraries imported, file in the page cache. memory_mb: peak of
    the resident set in loading and three calls of `batch` images, less what the process and its libraries had before;
    gpu_memory_mb: the same of the whole device; both 10^6 bytes.
    """
    arguments = [runtime, str(path), str(threads), str(batch), str(size)]
    command = [sys.executable, "-m", "edgefair.latency.probe", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        reason = done.stderr.strip().splitlines()
        return {**NOTHING, "failed": reason[-1] if reason else f"exit code {done.returncode}"}
    return json.loads(lines[-1])


def inside(runtime: str, path: Path, threads: int, batch: int, size: int) -> dict:
    """The same, measured in this process."""
    _import_library(runtime)
    gpu_memory = memory_used_mb if runs_on_gpu(runtime) else lambda: None
    images = np.zeros((batch, 3, size, size), np.uint8)
    gpu_before, before = gpu_memory(), _reset_peak()  # in this order: what asks the GPU takes memory too
    loaded, load_ms = timed_load(runtime, path, threads)
    with loaded:
        begun = time.perf_counter()
        loaded.predict(images)
        first = time.perf_counter() - begun
        for _ in range(CALLS - 1):
            loaded.predict(images)
        peak, gpu = _status("VmHWM"), gpu_memory()
    return {
        "load_ms": load_ms,
        "first_call_ms": first * 1e3,
        "memory_mb": _growth(before, peak),
        "gpu_memory_mb": _growth(gpu_before, gpu),
    }


def _growth(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else max(0.0, after - before)


def timed_load(runtime: str, path: Path, threads: int) -> tuple[Runtime, float]:
    """A runtime that is ready, and the milliseconds that took once its library was imported."""
    _import_library(runtime)
    begun = time.perf_counter()
    loaded = load_runtime(runtime, path, threads)
    return loaded, (time.perf_counter() - begun) * 1e3


def _import_library(runtime: str) -> None:
    """Its time and memory are not the artefact's."""
    runtime_class(runtime).run_unavailable_reason()


def _reset_peak() -> float | None:
    """Start the peak of the resident set anew (Linux), and return the resident set, 10^6 bytes."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(field: str) -> float | None:
    """A field of /proc/self/status in 10^6 bytes."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(field)), None)


if __name__ == "__main__":
    name, file, *numbers = sys.argv[1:]
    print(json.dumps(inside(name, Path(file), *map(int, numbers))))
