"""Targets: what a file can be made for. The one table of their names; a runtime is added by its class and a row here.

It stands below the runtimes, because a recipe names targets, and holds the classes as text: nothing is imported by it.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator

Precision = Literal["fp32", "fp16", "int8", "fp8"]
PRECISIONS: tuple[str, ...] = get_args(Precision)
ON_REQUEST = ("fp8",)  # made only where it is named: it takes a GPU of compute capability 8.9


@dataclass(frozen=True)
class Target:
    """What executes the files of a target, and how they are written for it.

    runtime: its name for --runtime; implementation: its class as "module:Class", imported when it is used. precisions:
    all it computes in as they say. dialect: how its quantised files are written (export/quantization). library: whose
    reading of an ONNX file the linter judges by. gpu: whether time, energy and memory are a GPU's. executes_onnx: False
    where an engine is built of the ONNX file; opening one runs code, so only those in a manifest are opened.
    """

    runtime: str
    implementation: str
    precisions: tuple[str, ...]
    dialect: str
    library: str
    gpu: bool = False
    executes_onnx: bool = True


_ORT, _OPENVINO, _TRT = (f"edgefair.runtimes.{module}" for module in ("ort", "openvino", "trt"))

TARGETS = {
    "ort-cpu": Target("ort", f"{_ORT}:Ort", ("fp32", "int8"), "ort-cpu", "onnxruntime"),
    # The CUDA provider runs Q/DQ as quantise, dequantise, float convolution: what TensorRT computes, but slower.
    "ort-cuda": Target("ort-cuda", f"{_ORT}:OrtCuda", ("fp32", "fp16", "int8"), "tensorrt", "onnxruntime", gpu=True),
    "openvino": Target("openvino", f"{_OPENVINO}:OpenVino", ("fp32", "int8"), "openvino", "openvino"),
    "tensorrt": Target("tensorrt", f"{_TRT}:TensorRT", PRECISIONS, "tensorrt", "tensorrt", True, False),
    "tensorrt-rtx": Target("tensorrt-rtx", f"{_TRT}:TensorRTRTX", PRECISIONS, "tensorrt", "tensorrt", True, False),
}


def _known(name: str) -> str:
    if name not in TARGETS:
        *others, last = (f"'{target}'" for target in TARGETS)
        raise ValueError(f"Input should be {', '.join(others)} or {last}")
    return name


TargetName = Annotated[str, AfterValidator(_known)]
