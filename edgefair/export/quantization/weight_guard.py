"""What keeps ONNX Runtime from quantising a convolution or matrix product that was left in float.

Its optimiser WeightBiasQuantization gives eight-bit weights, with one scale for all channels, to any such node between
DequantizeLinear and QuantizeLinear, which is coarser than what was spared it. It asks for an input that is dequantised
with a single scale; so the node gets a DequantizeLinear of its own with that scale once for every channel, which
computes the same.
"""

from typing import TYPE_CHECKING

import numpy as np

from edgefair.errors import require
from edgefair.export.quantization.graph import DEQUANTIZE, Graph
from edgefair.export.quantization.preprocess import PURPOSE

if TYPE_CHECKING:
    from onnx import ModelProto

GUARDED = ("Conv", "ConvTranspose", "Gemm")
MARK = "_by_channel"


def guard(model: "ModelProto") -> "ModelProto":
    """The model, changed in place, in which nodes with float weights stay in float under ONNX Runtime."""
    graph, made = Graph(model.graph), {}
    for node in graph.nodes:
        before = graph.producer.get(node.input[0]) if node.op_type in GUARDED else None
        weight = graph.constants.get(node.input[1]) if before is not None and before.op_type == DEQUANTIZE else None
        if weight is None or len(graph.constants[before.input[1]].dims):
            continue
        made.setdefault(before.name, _spread(model, graph, before, _channels(node, weight.dims)))
        node.input[0] = before.output[0] + MARK
    _insert(model.graph, made)
    return model


def _channels(node, dims) -> int:
    """Channels of a node's input."""
    attributes = {attribute.name: attribute.i for attribute in node.attribute}
    if node.op_type == "Conv":
        return dims[1] * attributes.get("group", 1)
    if node.op_type == "ConvTranspose":
        return dims[0]
    return dims[1] if attributes.get("transB") else dims[0]


def _spread(model, graph: Graph, before, channels: int):
    """The DequantizeLinear `before` with its scale and zero point once for every channel; constants go into it."""
    onnx = require("onnx", "onnx", PURPOSE)
    inputs, own = [before.input[0]], {tensor.name for tensor in model.graph.initializer}
    for name in before.input[1:]:
        value = onnx.numpy_helper.to_array(graph.constants[name])
        inputs.append(f"{name}{MARK}_{channels}")
        if inputs[-1] not in own:
            model.graph.initializer.append(onnx.numpy_helper.from_array(np.repeat(value, channels), inputs[-1]))
    return onnx.helper.make_node(DEQUANTIZE, inputs, [before.output[0] + MARK], before.name + MARK, axis=1)


def _insert(graph, made: dict) -> None:
    """Put each new node behind the one that it is a form of; that one goes where nothing reads it any more."""
    read = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    nodes = []
    for node in graph.node:
        if node.name not in made or node.output[0] in read:
            nodes.append(node)
        if node.name in made:
            nodes.append(made[node.name])
    del graph.node[:]
    graph.node.extend(nodes)
