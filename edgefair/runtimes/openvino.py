"""OpenVINO on the CPU, with the precision of its arithmetic stated: left alone it computes in bf16 without a word."""

from pathlib import Path

import numpy as np

from edgefair.errors import ArtefactError, MissingExtra, require
from edgefair.runtimes import ExecutesOnnx, check_images


class OpenVino(ExecutesOnnx):
    """An ONNX file compiled by OpenVINO; what is not quantised in it is computed in fp32."""

    @classmethod
    def why_not_run(cls) -> str:
        try:
            require("openvino", "openvino", "running a file with OpenVINO")
        except MissingExtra as error:
            return str(error)
        return ""

    def __init__(self, path: Path, threads: int = 0):
        openvino = require("openvino", "openvino", "running a file with OpenVINO")
        settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        try:
            self.model = openvino.Core().compile_model(str(path), "CPU", settings)
        except Exception as error:  # the library raises bare RuntimeError, and others for what it cannot parse
            raise ArtefactError(
                f"OpenVINO cannot load {path} ({type(error).__name__}: {error}). Is the file whole? Export it again."
            ) from error
        (_, _, self.size, _), (_, self.num_classes) = (
            [side.get_length() if side.is_static else None for side in port.partial_shape]
            for port in (self.model.input(0), self.model.output(0))
        )
        self.version, self.threads = openvino.get_version(), threads

    def predict(self, images: np.ndarray) -> np.ndarray:
        check_images(images, self.size)
        return self.model(images)[0]

    def describe(self) -> dict:
        return {
            "runtime": "openvino",
            "version": self.version,
            "provider": "CPU",
            "inference_precision": str(self.model.get_property("INFERENCE_PRECISION_HINT")),
            "threads": self.threads or "all",
        }
