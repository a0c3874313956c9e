"""Logits of a quantised variant that exists in memory only, by ONNX Runtime on the CPU."""

from functools import cached_property
from pathlib import Path

import numpy as np

from edgefair.errors import ArtefactError, require
from edgefair.export.mixed_precision.replay import Replay
from edgefair.export.quantization import DIALECTS, quantizable, resolve_reduce_range
from edgefair.export.quantization.calibration import Ranges
from edgefair.export.quantization.preprocess import PURPOSE, prepared
from edgefair.predictions import batches
from edgefair.recipe import QuantizeSettings
from edgefair.runtimes import Runtime

# ONNX Runtime's own dialect runs as it ships. Any other is computed as written, quantise, dequantise, float: what the
# format says, whatever ONNX Runtime would fuse.
OPTIMISED = ("ort-cpu",)


class Variants:
    """Quantised forms of one ONNX file, made by the names of the nodes that are quantised in them."""

    def __init__(self, source: Path, dialect: str, settings: QuantizeSettings, ranges: Ranges, threads: int = 0):
        self.source, self.dialect, self.ranges = Path(source), dialect, ranges
        self.settings = resolve_reduce_range(
            settings
        )  # what ships is written by it too: weights of seven or of eight bits
        self.threads = threads

    @cached_property
    def _replay(self) -> Replay:
        every = set(quantizable(self.source, self.dialect, self.settings))
        return Replay(prepared(self.source), self.written(every))

    def written(self, quantized: set[str]):
        """The ONNX model with these nodes quantised in the dialect's Q/DQ form."""
        return DIALECTS[self.dialect].write(prepared(self.source), self.ranges.bounds, quantized, self.settings)

    def model(self, quantized: set[str]) -> bytes:
        """The file with these nodes quantised, serialised."""
        if not quantized:
            return prepared(self.source).SerializeToString()
        if self.dialect == "ort-cpu":
            return self._replay.model(quantized).SerializeToString()
        return self.written(set(quantized)).SerializeToString()

    def logits(self, quantized: set[str], images: np.ndarray) -> np.ndarray:
        """uint8 [N, 3, S, S] -> float32 [N, C] with these nodes quantised."""
        return run(self.model(quantized), images, self.dialect in OPTIMISED, self.threads)


def run(model: bytes | str, images: np.ndarray, optimised: bool, threads: int = 0, batch: int = 64) -> np.ndarray:
    """Logits [N, C] of a model, given as bytes or path; without `optimised` every node is executed as it is written."""
    session = _session(model, optimised, threads)
    name = session.get_inputs()[0].name
    parts = (np.ascontiguousarray(images[part]) for part in batches(len(images), batch))
    return np.concatenate([session.run(None, {name: part})[0] for part in parts])


def _session(model: bytes | str, optimised: bool, threads: int):
    ort = require("onnxruntime", "onnx", PURPOSE)
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    levels = ort.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimised else levels.ORT_DISABLE_ALL
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library's exception classes share no public base
        raise ArtefactError(
            f"ONNX Runtime cannot run a quantised variant ({type(error).__name__}: {error})."
        ) from error


class Simulated(Runtime):
    """A quantised file on ONNX Runtime in place of a target that this machine does not have."""

    def __init__(self, path: Path, dialect: str, threads: int = 0):
        self.path, self.dialect, self.threads = Path(path), dialect, threads
        self.session = _session(str(path), dialect in OPTIMISED, threads)
        self.num_classes = self.session.get_outputs()[0].shape[1]

    def _predict(self, images: np.ndarray) -> np.ndarray:
        return self.session.run(None, {self.session.get_inputs()[0].name: np.ascontiguousarray(images)})[0]

    def _describe(self) -> dict:
        version = require("onnxruntime", "onnx", PURPOSE).__version__
        return {"runtime": "onnxruntime", "version": version, "simulates": self.dialect, "verified_on_device": False}

    def _close(self) -> None:
        self.session = None
