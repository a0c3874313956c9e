"""What the runtimes that execute ONNX ask of a file before and after they load it."""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from edgefair.errors import ArtefactError, require

# Operators that hold nearly all arithmetic of a classifier, and the names that runtimes give them once quantised.
HEAVY = ("Conv", "ConvTranspose", "Gemm", "MatMul", "FusedConv", "FusedGemm", "FusedMatMul")
QUANTISED = ("QLinearConv", "QLinearMatMul", "QGemm", "ConvInteger", "MatMulInteger", "MatMulIntegerToFloat")
FORMATS = {
    "FLOAT": "fp32",
    "FLOAT16": "fp16",
    "BFLOAT16": "bf16",
    "INT8": "int8",
    "UINT8": "int8",
    "FLOAT8E4M3FN": "fp8",
    "FLOAT8E5M2": "fp8",
}


class Port(NamedTuple):
    """An input or output: its type as NumPy calls it, and its sides, None where any size is taken."""

    dtype: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        return f"{self.dtype} ({', '.join('any' if side is None else str(side) for side in self.shape)})"


def check_signature(path: Path, inputs: list[Port], outputs: list[Port]) -> tuple[int | None, int]:
    """Image side (None where any) and number of classes of a file that takes images and returns logits.

    Raises ArtefactError unless it has one input uint8 [batch, 3, S, S] and one output float32 [batch, C], any batch.
    """
    if len(inputs) == 1 and len(outputs) == 1 and _takes_images(inputs[0]) and (classes := _classes(outputs[0])):
        return inputs[0].shape[2], classes
    raise ArtefactError(
        f"{path} takes {_all(inputs)} and returns {_all(outputs)}; needed are one input uint8 (any, 3, S, S) and one "
        "output float32 (any, classes), with the scaling of the pixels inside. Export it with edgefair."
    )


def _takes_images(port: Port) -> bool:
    if port.dtype != "uint8" or len(port.shape) != 4:
        return False
    batch, channels, height, width = port.shape
    return batch is None and channels == 3 and height == width


def _classes(port: Port) -> int | None:
    """How many logits it returns for an image; None where it returns something else, or any number of them."""
    logits = port.dtype == "float32" and len(port.shape) == 2 and port.shape[0] is None
    return port.shape[1] if logits else None


def _all(ports: list[Port]) -> str:
    return " and ".join(map(str, ports)) or "nothing"


def cannot_load(library: str, path: Path, error: Exception) -> ArtefactError:
    """The error of a file that a library does not load: its message, and what to do."""
    return ArtefactError(
        f"{library} cannot load {path} ({type(error).__name__}: {_short(error)}). "
        "Is the file whole, and is there memory for it? Export it again, or free memory."
    )


def cannot_run(library: str, path: Path, images: int, error: Exception) -> ArtefactError:
    """The error of a library while it ran a file, most often for want of memory."""
    return ArtefactError(
        f"{library} cannot run {path} on {images} images ({type(error).__name__}: {_short(error)}). "
        "Where memory ran out, use a smaller batch or stop what else uses the device."
    )


def _short(error: Exception, limit: int = 400) -> str:
    """The message on one line, without the pages of addresses that some libraries add."""
    text = " ".join(str(error).split())
    return text if len(text) <= limit else f"{text[:limit]} ..."


def census(path: Path) -> dict[str, float]:
    """Share of the Conv, Gemm and MatMul operators of an ONNX file by the format they compute in, such as int8.

    An operator whose two factors come out of DequantizeLinear counts as their format. Fails as `onnx.load` does.
    """
    onnx = require("onnx", "onnx", "counting the formats of an ONNX file")
    graph = onnx.shape_inference.infer_shapes(onnx.load(path, load_external_data=False)).graph
    types = {value.name: value.type.tensor_type.elem_type for value in (*graph.value_info, *graph.input)}
    types |= {one.name: one.data_type for one in graph.initializer}
    types |= {n.output[0]: n.attribute[0].t.data_type for n in graph.node if n.op_type == "Constant" and n.attribute}
    makers = {name: node for node in graph.node for name in node.output}
    counts = Counter(_format(node, types, makers, onnx) for node in graph.node if node.op_type in HEAVY + QUANTISED)
    return {name: round(count / counts.total(), 4) for name, count in sorted(counts.items())}


def _format(node: Any, types: dict, makers: dict, onnx: Any) -> str:
    if node.op_type in QUANTISED:
        return "int8"
    factors: list[Any] = [makers.get(name) for name in node.input[:2]]
    if all(factor is not None and factor.op_type == "DequantizeLinear" for factor in factors):
        known = [types[factor.input[0]] for factor in factors if types.get(factor.input[0])]
    else:
        known = [types[name] for name in node.input[:2] if types.get(name)]
    # An operator of the runtime's own has no inferred types; its weights are stored with one.
    name = onnx.TensorProto.DataType.Name(known[-1]) if known else "unknown"
    return FORMATS.get(name, name.lower())


def narrowest(shares: dict[str, float]) -> str:
    """What a file of these shares is called: int8 where anything is int8, and so on down to fp32; "" without any."""
    return next((name for name in ("int8", "fp8", "fp16", "bf16", "fp32") if name in shares), "")
