"""ONNX Runtime on the CPU."""

from pathlib import Path

import numpy as np

from edgefair.errors import ArtefactError, require
from edgefair.runtimes import check_images

PROVIDER = "CPUExecutionProvider"


class Ort:
    """An ONNX file under ONNX Runtime; the provider that was asked for is the one that runs, or it is an error."""

    def __init__(self, path: Path, threads: int = 0):
        ort = require("onnxruntime", "onnx", "running an ONNX file")
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self.session = ort.InferenceSession(str(path), options, providers=[PROVIDER])
        except Exception as error:  # the library's exception classes share no public base
            raise ArtefactError(
                f"ONNX Runtime cannot load {path} ({type(error).__name__}: {error}). "
                "Is the file whole? Export it again."
            ) from error
        if self.session.get_providers() != [PROVIDER]:
            raise ArtefactError(f"ONNX Runtime uses {self.session.get_providers()} where {PROVIDER} was asked for.")
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
            "provider": PROVIDER,
            "threads": self.threads or "all",
        }
