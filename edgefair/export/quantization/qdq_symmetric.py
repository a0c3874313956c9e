"""Signed symmetric Q/DQ as TensorRT wants it, in int8 or fp8: what every engine builder of NVIDIA reads.

Activations per tensor, weights per output channel, zero points 0, biases in float, and Q/DQ only before the operands of
weighted nodes and before the residual that a convolution adds: nothing behind an output, where it would break the
fusion with what follows. ONNX Runtime's own quantiser marks tensors rather than operands, so it would also quantise the
convolution's side of a residual and what a node that stays in float reads; hence these lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgefair.errors import ArtefactError, require
from edgefair.export.quantization.graph import DEQUANTIZE, QUANTIZE, Graph
from edgefair.export.quantization.preprocess import PURPOSE, float_tensors
from edgefair.recipe import QuantizeSettings

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

FP8_OPSET = 19  # the first whose QuantizeLinear knows float8


@dataclass(frozen=True)
class Format:
    """A number format: its ONNX type, and the largest value that is used."""

    name: str
    largest: float


INT8, FP8 = Format("INT8", 127), Format("FLOAT8E4M3FN", 448)


def nodes(model: "ModelProto") -> "list[NodeProto]":
    """The nodes that can be quantised: weighted ones, and the Adds whose residual is fused into one of these."""
    graph = Graph(model.graph)
    floats = set(float_tensors(model))
    names = {
        node.name
        for node in graph.weighted()
        if node.input[0] in floats and node.input[1] in graph.constants and len(graph.constants[node.input[1]].dims) > 1
    }
    names |= {add.name for add, i, main in graph.residuals() if main.name in names and add.input[i] in floats}
    return [node for node in graph.nodes if node.name in names]


def write(
    model: "ModelProto",
    bounds: dict[str, tuple[float, float]],
    names: set[str],
    settings: QuantizeSettings,
    number: Format,
    sums_of_16_bits: bool = False,
) -> "ModelProto":
    """Return `model` with Q/DQ before the operands of the nodes `names`, in the format `number`.

    bounds: lowest and highest value of each activation. scale = max(|low|, |high|) / largest for an activation and
    max |w| / largest for each output channel of a weight; the largest is 127 for int8 and 448 for fp8 (e4m3). Weights
    are stored in eight bits. sums_of_16_bits: the target may be a processor where reduce_range matters: weights
    are then at most 64.
    """
    model = _with_opset(model, FP8_OPSET) if number == FP8 else model
    weights = Format(number.name, 64) if sums_of_16_bits and settings.reduce_range else number
    graph = Graph(model.graph)
    residual = {add.name: index for add, index, main in graph.residuals() if main.name in names}
    writer = _Writer(graph, bounds, number, weights)
    for node in graph.nodes:
        if node.name in names and node.op_type == "Add":
            index = residual.get(node.name)  # none where its convolution stays in float: nothing to fuse with
            if index is not None:
                node.input[index] = writer.activation(node.input[index])
        elif node.name in names:
            node.input[0] = writer.activation(node.input[0])
            node.input[1] = writer.weight(node.input[1], channel_axis(node, graph.constants[node.input[1]].dims))
        writer.nodes.append(node)
    _replace(model.graph, writer)
    return model


def channel_axis(node: "NodeProto", dims: Sequence[int]) -> int:
    """The axis of a weight that counts output channels."""
    if node.op_type == "Conv":
        return 0
    transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    return 0 if transposed else len(dims) - 1


class _Writer:
    """Makes each Q/DQ once, in the order in which its tensor is first needed."""

    def __init__(self, graph: Graph, bounds: dict, activations: Format, weights: Format):
        self.onnx = require("onnx", "onnx", PURPOSE)
        self.graph, self.bounds, self.activations, self.weights = graph, bounds, activations, weights
        self.kind = getattr(self.onnx.TensorProto, activations.name)
        self.nodes: list = []
        self.tensors: list = []
        self.made: dict[str, str] = {}

    def activation(self, tensor: str) -> str:
        if tensor not in self.made:
            largest = np.float32(max(abs(bound) for bound in self.bounds[tensor]))
            parameters = self._parameters(tensor, _scale(largest, self.activations))
            quantized = f"{tensor}_quantized"
            self._node(QUANTIZE, tensor, parameters, quantized)
            self._node(DEQUANTIZE, quantized, parameters, f"{tensor}_dequantized")
            self.made[tensor] = f"{tensor}_dequantized"
        return self.made[tensor]

    def weight(self, tensor: str, axis: int) -> str:
        if tensor not in self.made:
            values = self.onnx.numpy_helper.to_array(self.graph.constants[tensor])
            others = tuple(i for i in range(values.ndim) if i != axis)
            scale = _scale(np.abs(values).max(axis=others), self.weights)  # [channels]
            exact = values / np.expand_dims(scale, others)
            if self.weights.name == "INT8":
                exact = np.clip(np.rint(exact), -self.weights.largest, self.weights.largest)
            quantized = f"{tensor}_quantized"
            self.tensors.append(self._tensor(quantized, exact))
            self._node(DEQUANTIZE, quantized, self._parameters(tensor, scale), f"{tensor}_dequantized", axis=axis)
            self.made[tensor] = f"{tensor}_dequantized"
        return self.made[tensor]

    def _parameters(self, tensor: str, scale: np.ndarray) -> list[str]:
        names = [f"{tensor}_scale", f"{tensor}_zero_point"]
        self.tensors.append(self.onnx.numpy_helper.from_array(scale, names[0]))
        self.tensors.append(self._tensor(names[1], np.zeros(scale.shape)))
        return names

    def _tensor(self, name: str, values: np.ndarray):
        if self.activations == INT8:
            return self.onnx.numpy_helper.from_array(values.astype(np.int8), name)
        made = self.onnx.helper.make_tensor(name, self.kind, values.shape, values.ravel())
        if made.int32_data:  # one number of 32 bits each, where a byte does
            made.raw_data = np.array(made.int32_data).astype(np.uint8).tobytes()
            made.ClearField("int32_data")
        return made

    def _node(self, kind: str, source: str, parameters: list[str], target: str, **attributes) -> None:
        self.nodes.append(
            self.onnx.helper.make_node(kind, [source, *parameters], [target], f"{target}_{kind}", **attributes)
        )


def _scale(largest: np.ndarray, number: Format) -> np.ndarray:
    """largest / the format's largest; 1 where nothing but zeros (or what float32 cannot divide) was seen."""
    scale = np.asarray(largest, np.float32) / np.float32(number.largest)
    return np.where(scale < np.finfo(np.float32).tiny, np.float32(1), scale).astype(np.float32)


def _replace(graph, writer: _Writer) -> None:
    """Put the writer's nodes and tensors into the graph, and drop weights that nothing reads in float any more."""
    del graph.node[:]
    graph.node.extend(writer.nodes)
    read = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend([*kept, *writer.tensors])
    del graph.value_info[:]


def _with_opset(model, version: int):
    """The model in at least this operator set."""
    onnx = require("onnx", "onnx", PURPOSE)
    now = next(opset.version for opset in model.opset_import if not opset.domain)
    try:
        return model if now >= version else onnx.version_converter.convert_version(model, version)
    except Exception as error:  # the converter raises bare RuntimeError, and others for operators it does not know
        raise ArtefactError(
            f"the graph cannot be raised from operator set {now} to {version}, which fp8 needs ({error}). "
            f"Export it with export.opset = {version}, or leave fp8 out."
        ) from error
