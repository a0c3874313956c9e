"""uint8 activations, int8 weights per channel: the dialect that ONNX Runtime runs fast on x86, by its own quantiser."""

from typing import TYPE_CHECKING

import numpy as np

from edgefair.errors import ArtefactError, require
from edgefair.export.quantization.graph import Graph
from edgefair.export.quantization.preprocess import PURPOSE, float_tensors, quiet
from edgefair.export.quantization.weight_guard import guard
from edgefair.recipe import QuantizeSettings

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

# What sets a range of its own; normalisations have no kernel in eight bits and would only lose accuracy ...
LEADING = ("Conv", "Gemm", "MatMul", "Add", "Mul", "LeakyRelu", "Sigmoid", "Softmax", "Concat", "GlobalAveragePool")
# ... and what stays in eight bits where its input is.
FOLLOWING = (
    *("Relu", "Clip", "MaxPool", "AveragePool", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten"),
    *("Resize", "Slice", "Pad", "Split"),
)


def nodes(model: "ModelProto") -> "list[NodeProto]":
    """The nodes that can be quantised: all of these kinds that compute with floats, behind the pixels' scaling."""
    graph = Graph(model.graph)
    floats = set(float_tensors(model))
    scaling = {node.name for node in graph.before_weights()}
    return [n for n in graph.nodes if n.op_type in LEADING and n.output[0] in floats and n.name not in scaling]


def write(
    model: "ModelProto", bounds: dict[str, tuple[float, float]], names: set[str], settings: QuantizeSettings
) -> "ModelProto":
    """Return `model` with Q/DQ around the nodes `names` and what follows them in eight bits.

    bounds: lowest and highest value of each activation. settings: reduce_range makes weights of seven bits.
    """
    quantization = require("onnxruntime.quantization", "onnx", PURPOSE)
    calibrate = require("onnxruntime.quantization.calibrate", "onnx", PURPOSE)
    quantizer = require("onnxruntime.quantization.qdq_quantizer", "onnx", PURPOSE).QDQQuantizer
    scaling = [node.name for node in Graph(model.graph).before_weights()]
    float_nodes = scaling + [n.name for n in model.graph.node if n.op_type in LEADING and n.name not in names]
    with quiet():
        try:
            made = quantizer(
                model=model,
                per_channel=True,
                reduce_range=settings.reduce_range,
                weight_qType=quantization.QuantType.QInt8,
                activation_qType=quantization.QuantType.QUInt8,
                tensors_range=calibrate.TensorsData(
                    calibrate.CalibrationMethod.MinMax, _tensor_data(bounds, calibrate.TensorData)
                ),
                nodes_to_quantize=[],
                nodes_to_exclude=float_nodes,
                op_types_to_quantize=[*LEADING, *FOLLOWING],
                extra_options={},
            )
            return guard(made.quantize_model())
        except (ValueError, RuntimeError, TypeError) as error:
            raise ArtefactError(f"ONNX Runtime cannot quantise the graph ({error}).") from error


def _tensor_data(bounds: dict, kind) -> dict:
    return {
        name: kind(lowest=np.array(low, np.float32), highest=np.array(high, np.float32))
        for name, (low, high) in bounds.items()
    }
