"""Runtimes: what executes an artefact. A table of lazy names, so that none is imported before it is asked for."""

import importlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgefair.errors import RecipeError, nearest
from edgefair.runtimes.base import Built, Runtime

__all__ = ["RUNTIMES", "Built", "Runtime", "load_runtime", "predict_rows", "runtime_class"]

RUNTIMES = {
    "eager": "edgefair.runtimes.eager:Eager",
    "ort": "edgefair.runtimes.ort:Ort",
    "ort-cuda": "edgefair.runtimes.ort:OrtCuda",
    "openvino": "edgefair.runtimes.openvino:OpenVino",
    "tensorrt": "edgefair.runtimes.trt:TensorRT",
    "tensorrt-rtx": "edgefair.runtimes.trt:TensorRTRTX",
    "null": "edgefair.runtimes.null:Null",
}


def load_runtime(name: str, path: Path, threads: int = 0) -> Runtime:
    """Load an artefact; raises RecipeError for an unknown runtime, ArtefactError for a file that does not load."""
    return runtime_class(name)(Path(path), threads)


def runtime_class(name: str) -> type[Runtime]:
    """The class of a runtime; raises RecipeError for an unknown name."""
    if name not in RUNTIMES:
        raise RecipeError(f"unknown runtime '{name}'; {nearest(name, RUNTIMES)}")
    module, _, attribute = RUNTIMES[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def predict_rows(
    runtime: Runtime, images: np.ndarray, rows: np.ndarray, advance: Callable[[int], None], batch_size: int = 64
) -> np.ndarray:
    """Logits of the given rows of a (memory-mapped) image array, float32 [N, C], in the order of `rows`."""
    logits = np.empty((len(rows), runtime.num_classes), np.float32)
    for start in range(0, len(rows), batch_size):
        part = images[rows[start : start + batch_size]]
        logits[start : start + len(part)] = runtime.predict(part)
        advance(len(part))
    return logits
