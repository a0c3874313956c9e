"""In which datatypes a network or an engine computes: what shows that a file called INT8 is not run as FP32.

    {"source": "network" | "engine", "layers": how many were counted, "share": {datatype: share of them},
     "products": {datatype: number of convolutions and matrix products}, "quantised": [datatypes of stored codes],
     "opaque": layers of an engine whose inside is not shown}

Layers that only move or convert values are left out.
"""

import collections
import json
import re
from typing import Any

from edgefair.errors import ArtefactError

PRECISIONS = ("fp32", "fp16", "int8", "fp8")
NAMES = {"FLOAT": "fp32", "HALF": "fp16"}
WIDTHS = {"bf16": 16, "fp16": 16, "fp8": 8, "int8": 8, "fp4": 4, "int4": 4}
MOVES = ("CONSTANT", "QUANTIZE", "DEQUANTIZE", "CAST", "SHUFFLE", "SHAPE", "IDENTITY")
PRODUCTS = ("CONVOLUTION", "DECONVOLUTION", "MATRIX_MULTIPLY", "EINSUM")
ENGINE_MOVES = ("reformat", "noop", "constant", "shuffle", "cast", "signal", "wait", "shape")
ENGINE_PRODUCTS = ("conv", "gemm", "matrix", "matmul")
_DATATYPE = re.compile(r"(bf16|fp32|fp16|fp8|fp4|u?int8|int4|int32|int64|bool|float|half)", re.IGNORECASE)


def datatype(dtype: Any) -> str:
    """edgefair's name of a datatype of TensorRT's."""
    return NAMES.get(dtype.name, dtype.name.lower())


def network_summary(network: Any) -> dict:
    """Count the layers of a parsed network, strongly typed, by the datatype that they compute in."""
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    codes = {
        layer.get_output(0).name: datatype(layer.get_input(0).dtype)
        for layer in layers
        if layer.type.name == "DEQUANTIZE"
    }
    counted = [
        (_computes_in(layer, codes), layer.type.name in PRODUCTS) for layer in layers if layer.type.name not in MOVES
    ]
    return _summary("network", counted, sorted(set(codes.values())))


def _computes_in(layer: Any, codes: dict[str, str]) -> str:
    """The widest of its inputs, a dequantised one as what its codes are: a kernel is narrow if all its inputs are.

    A convolution with one input holds its weights itself, as they were in the file: not as codes.
    """
    if layer.type.name == "CONVOLUTION" and layer.num_inputs == 1:
        codes = {}
    tensors = [layer.get_input(index) for index in range(min(layer.num_inputs, 2))]
    kinds = [codes.get(tensor.name, datatype(tensor.dtype)) for tensor in tensors if tensor is not None]
    return max(kinds or [datatype(layer.get_output(0).dtype)], key=lambda kind: WIDTHS.get(kind, 32))


def engine_summary(text: str) -> dict:
    """The same from the engine inspector's JSON, in the form of TensorRT 10 or of 11."""
    rows = json.loads(text)["Layers"]
    if not all(isinstance(row, dict) for row in rows):
        raise ArtefactError("the engine was built without details of its layers, so its datatypes cannot be counted.")
    opaque = [row for row in rows if row.get("LayerType") == "Myelin" or "ForeignNode" in row.get("Name", "")]
    counted = [
        (_row_computes_in(row), _is_any(row, ENGINE_PRODUCTS))
        for row in rows
        if row not in opaque and not _is_any(row, ENGINE_MOVES)
    ]
    return _summary("engine", counted, []) | {"opaque": len(opaque)}


def _is_any(row: dict, signs: tuple[str, ...]) -> bool:
    return any(sign in row.get("LayerType", "").lower() for sign in signs)


def _row_computes_in(row: dict) -> str:
    """The datatype of its first input; "Format/Datatype" is one text in TensorRT 10, two fields in 11."""
    end: dict[str, str] = next((end for side in ("Inputs", "Outputs") for end in row.get(side, [])), {})
    found = _DATATYPE.search(end.get("Datatype") or end.get("DataType") or end.get("Format/Datatype") or "")
    name = found.group().upper() if found else "UNKNOWN"
    return NAMES.get(name, name.lower())


def _summary(source: str, counted: list[tuple[str, bool]], quantized: list[str]) -> dict:
    kinds = collections.Counter(kind for kind, _ in counted)
    return {
        "source": source,
        "layers": len(counted),
        "share": {kind: round(count / len(counted), 4) for kind, count in sorted(kinds.items())},
        "products": dict(sorted(collections.Counter(kind for kind, product in counted if product).items())),
        "quantised": quantized,
        "opaque": 0,
    }


def check_precision(summary: dict, name: str) -> None:
    """Raise ArtefactError where no layer computes in the precision that `name` (PART.PRECISION.PART) claims.

    There must be a product in it, and one in the datatype of a network's codes if it has any; where no product is told
    from other layers, any layer will do. An engine with layers that do not show their inside is believed: the network
    that it was built from has been checked.
    """
    claimed = next((part for part in name.split(".") if part in PRECISIONS), "")
    wanted = ({claimed} - {""}) | set(summary["quantised"])
    found = set(summary["products"] or summary["share"])
    if summary["opaque"] or wanted <= found:
        return
    raise ArtefactError(
        f"{name} should compute in {', '.join(sorted(wanted - found))}, but no layer of the {summary['source']} does: "
        f"{summary['products'] or summary['share']}. Inputs and weights of a convolution must both be quantised, "
        "by QuantizeLinear and DequantizeLinear right before it."
    )
