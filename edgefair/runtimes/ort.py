"""ONNX Runtime, on the CPU and on CUDA."""

from pathlib import Path

import numpy as np

from edgefair.errors import ArtefactError, MissingExtra, require
from edgefair.runtimes import ExecutesOnnx, check_images


class Ort(ExecutesOnnx):
    """An ONNX file under ONNX Runtime; the provider that was asked for is the one that runs, or it is an error."""

    PROVIDER = "CPUExecutionProvider"
    EXTRA = "onnx"

    @classmethod
    def why_not_run(cls) -> str:
        try:
            ort = require("onnxruntime", cls.EXTRA, "running an ONNX file")
        except MissingExtra as error:
            return str(error)
        if cls.PROVIDER in ort.get_available_providers():
            return ""
        return f"this onnxruntime offers {ort.get_available_providers()}, not {cls.PROVIDER}."

    def __init__(self, path: Path, threads: int = 0):
        ort = require("onnxruntime", self.EXTRA, "running an ONNX file")
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        if self.PROVIDER != "CPUExecutionProvider":
            # Without this, a provider whose libraries do not load is replaced by the CPU without a word.
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        try:
            self.session = ort.InferenceSession(str(path), options, providers=[self.PROVIDER])
        except Exception as error:  # the library's exception classes share no public base
            raise ArtefactError(
                f"ONNX Runtime cannot load {path} ({type(error).__name__}: {error}). "
                "Is the file whole? Export it again."
            ) from error
        if self.session.get_providers()[0] != self.PROVIDER:
            raise ArtefactError(
                f"ONNX Runtime uses {self.session.get_providers()} where {self.PROVIDER} was asked for."
            )
        source, result = self.session.get_inputs()[0], self.session.get_outputs()[0]
        if source.type != "tensor(uint8)" or len(source.shape) != 4 or len(result.shape) != 2:
            raise ArtefactError(
                f"{path} takes {source.type} {source.shape} and returns {result.shape}; "
                "uint8 images in and logits out are needed."
            )
        self.input, self.output, self.size, self.num_classes = (
            source.name,
            result.name,
            source.shape[2],
            result.shape[1],
        )
        self.version, self.threads = ort.__version__, threads

    def predict(self, images: np.ndarray) -> np.ndarray:
        check_images(images, self.size)
        return self.session.run([self.output], {self.input: images})[0]

    def describe(self) -> dict:
        return {
            "runtime": "onnxruntime",
            "version": self.version,
            "provider": self.PROVIDER,
            "threads": self.threads or "all",
        }


class OrtCuda(Ort):
    """The same on an NVIDIA GPU."""

    PROVIDER = "CUDAExecutionProvider"
    EXTRA = "onnx-gpu"

    @classmethod
    def why_not_run(cls) -> str:
        from edgefair.runtimes.driver import why_no_gpu

        return super().why_not_run() or why_no_gpu()
