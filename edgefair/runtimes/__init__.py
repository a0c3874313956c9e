"""Runtimes: what executes an artefact. A table of lazy names, so that none is imported before it is asked for."""

import importlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgefair.errors import RecipeError, nearest
from edgefair.predictions import batches
from edgefair.recipe.targets import TARGETS
from edgefair.runtimes.base import Built, Runtime

__all__ = ["RUNTIMES", "Built", "Runtime", "load_runtime", "predict_rows", "runtime_class", "runtime_names"]

# Those of the targets, and two that files are compared with: PyTorch, and one that computes nothing.
RUNTIMES = {
    "eager": "edgefair.runtimes.eager:Eager",
    **{target.runtime: target.implementation for target in TARGETS.values()},
    "null": "edgefair.runtimes.null:Null",
}


def load_runtime(name: str, path: Path, threads: int = 0) -> Runtime:
    """Load an artefact; raises RecipeError for an unknown runtime, ArtefactError for a file that does not load.

    Who loads it closes it: `with load_runtime(...) as runtime`.
    """
    return runtime_class(name).load(Path(path), threads)


def runtime_class(name: str) -> type[Runtime]:
    """The class of a runtime; raises RecipeError for an unknown name."""
    known = _implementations()
    if name not in known:
        raise RecipeError(f"unknown runtime '{name}'; {nearest(name, known)}")
    module, _, attribute = known[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def runtime_names() -> list[str]:
    """The names of all runtimes, as --runtime takes them."""
    return list(_implementations())


def _implementations() -> dict[str, str]:
    """RUNTIMES with what has been added to the targets since it was made."""
    return RUNTIMES | {target.runtime: target.implementation for target in TARGETS.values()}


def predict_rows(
    runtime: Runtime, images: np.ndarray, rows: np.ndarray, advance: Callable[[int], None], batch_size: int = 64
) -> np.ndarray:
    """Logits of the given rows of a (memory-mapped) image array, float32 [N, C], in the order of `rows`.

    images: uint8 [M, 3, S, S], of which only `rows` are read, batch by batch; advance: told how many are done.
    """
    logits = np.empty((len(rows), runtime.num_classes), np.float32)
    for part in batches(len(rows), batch_size):
        logits[part] = runtime.predict(images[rows[part]])
        advance(len(rows[part]))
    return logits
