"""The runtimes `tensorrt` and `tensorrt-rtx`: engines on an NVIDIA GPU."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np

from edgefair.errors import ArtefactError
from edgefair.predictions import batches
from edgefair.recipe import DeploySettings
from edgefair.runtimes.base import Built, Runtime, check_images
from edgefair.runtimes.cuda_driver import why_no_gpu
from edgefair.runtimes.gpu import cuda_version, describe_gpu
from edgefair.runtimes.trt.api import LOWER, RTX, TENSORRT, Flavour, cuda_runtime, hint, library, why_missing
from edgefair.runtimes.trt.builder import build
from edgefair.runtimes.trt.loading import Loaded, load
from edgefair.runtimes.trt.memory import Memory


class TensorRT(Runtime):
    """An engine of TensorRT's; larger batches than it takes are run in parts."""

    FLAVOUR: Flavour = TENSORRT
    context: Any = None
    memory: Memory | None = None
    loaded: Loaded

    @classmethod
    def build_unavailable_reason(cls) -> str:
        return ("" if cls.FLAVOUR.portable else why_no_gpu()) or why_missing(cls.FLAVOUR, library)

    @classmethod
    def run_unavailable_reason(cls) -> str:
        return why_no_gpu() or why_missing(cls.FLAVOUR, library, cuda_runtime)

    @classmethod
    def build(cls, source: Path, folder: Path, name: str, settings: DeploySettings) -> list[Built]:
        # Asked first: without a driver, TensorRT's builder is a null pointer.
        if not cls.FLAVOUR.portable and (reason := why_no_gpu()):
            raise ArtefactError(f"{cls.FLAVOUR.title} builds on the device itself: {reason}")
        return build(cls.FLAVOUR, Path(source), Path(folder), name, settings)

    def __init__(self, path: Path, threads: int = 0):
        self.loaded = load(self.FLAVOUR, Path(path))
        try:
            self._prepare(path)
        except BaseException:
            self.close()
            raise

    def _prepare(self, path: Path) -> None:
        """Read the engine's shapes, make its context, and allocate once for the largest batch."""
        self.cudart = cuda_runtime(self.FLAVOUR)
        engine = self.loaded.engine
        self.input, self.output = _ends(self.loaded.trt, engine, path)
        shape = tuple(engine.get_tensor_shape(self.input))
        self.batch = max(shape[0], 0)  # the only one it takes, 0 where any
        self.max_batch = self.batch or engine.get_tensor_profile_shape(self.input, 0)[2][0]
        self.size, self.num_classes = shape[2], engine.get_tensor_shape(self.output)[1]
        self.context = context = engine.create_execution_context()
        if context is None:
            raise ArtefactError(f"{path} has no room to run: {self.loaded.log.last()}. {LOWER}")
        dtype = {"FLOAT": np.float32, "HALF": np.float16}[engine.get_tensor_dtype(self.output).name]
        images, logits = (self.max_batch, *shape[1:]), (self.max_batch, self.num_classes)
        self.memory = memory = Memory(self.cudart, {self.input: (images, np.uint8), self.output: (logits, dtype)})
        for name, address in memory.device.items():
            if not context.set_tensor_address(name, address):
                raise ArtefactError(f"{path} does not take memory for '{name}': {self.loaded.log.last()}. Rebuild it.")
        self.shaped = -1  # the batch that the context is set to
        self.cuda = cuda_version(memory.call(self.cudart.cudaRuntimeGetVersion))

    def _predict(self, images: np.ndarray) -> np.ndarray:
        check_images(images, self.size)
        logits = np.empty((len(images), self.num_classes), np.float32)
        for rows in batches(len(images), self.max_batch):
            logits[rows] = self._run(images[rows])
        return logits

    def _run(self, part: np.ndarray) -> np.ndarray:
        context, memory = self.context, self.memory
        assert memory is not None  # until it is closed
        if len(part) != self.shaped:
            if not context.set_input_shape(self.input, part.shape):
                raise ArtefactError(f"the engine does not take images of shape {part.shape}: {self.loaded.log.last()}.")
            self.shaped = len(part)
        memory.upload(self.input, part)
        if not context.execute_async_v3(int(memory.stream)):
            reason = self.loaded.log.last()
            raise ArtefactError(f"the engine did not run: {reason}. {hint(reason, 'Load it again.')}")
        return memory.download(self.output, len(part))

    def _describe(self) -> dict:
        facts, trt = self.loaded.facts, self.loaded.trt
        known = ("tf32", "profile", "layers", "optimization_level", "compute_capabilities", "timing_cache", "flags")
        return {
            "runtime": self.FLAVOUR.name,
            "version": trt.__version__,
            "provider": "cuda",
            "threads": 0,
            "cuda_runtime": self.cuda,
            "validity": self.loaded.validity,
            **describe_gpu(),
            **{name: facts.get(name) for name in known},
        }

    def _close(self) -> None:
        """Free everything, what uses memory before the memory."""
        self.context = None
        if self.memory is not None:
            self.memory.close()
        self.loaded.engine = None  # before the runtime that it lives in
        self.loaded.runtime = None

    def __del__(self) -> None:
        # For callers who forget to close. Where loading failed nothing is there to free, and at the end of the process
        # parts of the library may be gone.
        with contextlib.suppress(Exception):
            self.close()


class TensorRTRTX(TensorRT):
    """The same with TensorRT-RTX, whose engines are compiled for the device when they are loaded."""

    FLAVOUR = RTX


def _ends(trt: Any, engine: Any, path: Path) -> tuple[str, str]:
    """Names of the image and the logit tensor; raises ArtefactError unless there is one of each, as built here."""
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    sides = {
        mode: [name for name in names if engine.get_tensor_mode(name) == mode]
        for mode in (trt.TensorIOMode.INPUT, trt.TensorIOMode.OUTPUT)
    }
    inputs, outputs = sides[trt.TensorIOMode.INPUT], sides[trt.TensorIOMode.OUTPUT]
    if len(inputs) == len(outputs) == 1:
        images, logits = engine.get_tensor_dtype(inputs[0]), engine.get_tensor_dtype(outputs[0])
        shapes = [len(engine.get_tensor_shape(name)) for name in (inputs[0], outputs[0])]
        if images == trt.DataType.UINT8 and logits.name in ("FLOAT", "HALF") and shapes == [4, 2]:
            return inputs[0], outputs[0]
    raise ArtefactError(f"{path} has the tensors {names}; uint8 images in and float logits out are needed. Rebuild it.")
