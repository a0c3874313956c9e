"""How long the variants of a student take, of the files that `fair_quantization.py` left: apart from the figures."""

import os
import time
from pathlib import Path

import numpy as np
from nncf_choice import nncf_runtime

from edgefair.runtimes import load_runtime

FLOAT = "float"
CONTROL = "float again"
SIDES = {"trifeature": 32, "fairface": 64}


def timed(stem: Path, figures: dict, rounds: int = 60, calls: int = 5) -> None:
    """Put the milliseconds of a single image into a student's figures: least and median of interleaved calls.

    One pinned thread, all variants in every round, the first one loaded twice: what it differs from itself is noise.
    Where others use the machine, the least time is the one to compare.
    """
    folder = stem.with_name(f"{stem.name}-{figures['dialect']}")
    runtimes = {name: loaded(folder, name) for name in figures["variants"]} | {CONTROL: loaded(folder, FLOAT)}
    image, times = np.zeros((1, 3, SIDES[figures["data"]], SIDES[figures["data"]]), np.uint8), {n: [] for n in runtimes}
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    for _ in range(rounds):
        for name, runtime in runtimes.items():
            runtime.predict(image)  # refills the caches
            for _ in range(calls):
                started = time.perf_counter()
                runtime.predict(image)
                times[name].append(1e3 * (time.perf_counter() - started))
    os.sched_setaffinity(0, cores)
    least, median = ({name: float(how(values)) for name, values in times.items()} for how in (np.min, np.median))
    for name, row in figures["variants"].items():
        row |= {"least_ms": least[name], "p50_ms": median[name], "times_float": least[name] / least[FLOAT]}
    figures["float_loaded_twice"] = {"least": least[CONTROL] / least[FLOAT], "p50": median[CONTROL] / median[FLOAT]}


def loaded(folder: Path, name: str):
    """A variant of a student in that folder, on one thread."""
    if name == FLOAT:
        return load_runtime("ort", folder.with_name(folder.name.removesuffix("-ort-cpu") + ".onnx"), 1)
    return (
        nncf_runtime(folder / "nncf.xml") if name.startswith("NNCF") else load_runtime("ort", file_of(folder, name), 1)
    )


def file_of(folder: Path, name: str) -> Path:
    """Where a variant's ONNX file lies."""
    return folder / f"{name.replace(', ', '-')}.onnx"
