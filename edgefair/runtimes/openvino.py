"""OpenVINO on the CPU, with the precision of its arithmetic stated: left alone it computes in bf16 without a hint."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from edgefair.errors import ArtefactError, MissingExtra, require
from edgefair.runtimes import manifest
from edgefair.runtimes.base import Runtime, check_images
from edgefair.runtimes.onnx_inspect import Port, cannot_load, cannot_run, check_signature

# OpenVINO's names -> what the rest of edgefair calls the same format.
FORMATS = {"f32": "fp32", "f16": "fp16", "i8": "int8", "u8": "int8"}
HEAVY = ("Convolution", "Deconvolution", "FullyConnected", "MatMul")


class OpenVino(Runtime):
    """An ONNX file compiled by OpenVINO; what is not quantised in it is computed in `inference_precision`.

    inference_precision is "f32" unless "bf16" or "f16" is asked for; a processor that answers with another is an error.
    """

    @classmethod
    def run_unavailable_reason(cls) -> str:
        try:
            require("openvino", "openvino", "running a file with OpenVINO")
        except MissingExtra as error:
            return str(error)
        return ""

    def __init__(self, path: Path, threads: int = 0, inference_precision: str = "f32"):
        openvino = require("openvino", "openvino", "running a file with OpenVINO")
        self.path, self.version = Path(path), openvino.get_version()
        self.sha256 = manifest.unchanged(self.path)
        settings = {
            "INFERENCE_PRECISION_HINT": inference_precision,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "CACHE_DIR": "",  # off: what is loaded is this file, compiled now
        }
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        try:
            self.core = openvino.Core()
            self.model = self.core.compile_model(str(path), "CPU", settings)
        except Exception as error:  # the library raises bare RuntimeError, and others for what it cannot parse
            raise cannot_load("OpenVINO", self.path, error) from error
        self.precision = self.model.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        if self.precision != inference_precision:
            raise ArtefactError(
                f"OpenVINO computes in {self.precision} where {inference_precision} was asked for: this processor has "
                "no such arithmetic. Ask for f32."
            )
        self.size, self.num_classes = check_signature(path, _ports(self.model.inputs), _ports(self.model.outputs))

    def _predict(self, images: np.ndarray) -> np.ndarray:
        check_images(images, self.size)
        try:
            return self.model(images)[0]
        except Exception as error:
            raise cannot_run("OpenVINO", self.path, len(images), error) from error

    def _describe(self) -> dict:
        return {
            "runtime": "openvino",
            "version": self.version,
            "provider": "CPU",
            "device": self.core.get_property("CPU", "FULL_DEVICE_NAME"),
            "inference_precision": self.precision,
            "threads": self.model.get_property("INFERENCE_NUM_THREADS"),
            "sha256": self.sha256,
            "formats": self.formats(),
        }

    def _close(self) -> None:
        self.model = self.core = None

    def formats(self) -> dict[str, float]:
        """Share of the convolutions and matrix products by the format that the compiled graph computes them in."""
        notes = [operation.get_rt_info() for operation in self.model.get_runtime_model().get_ops()]
        ran = [note["runtimePrecision"].astype(str) for note in notes if note["layerType"].astype(str) in HEAVY]
        return {FORMATS.get(name, name): round(count / len(ran), 4) for name, count in sorted(Counter(ran).items())}


def _ports(values: Any) -> list[Port]:
    return [
        Port(
            value.element_type.to_dtype().name,
            tuple(side.get_length() if side.is_static else None for side in value.partial_shape),
        )
        for value in values
    ]
