"""What each target makes of a quantised graph: one function a rule, each yielding (targets, severity, node, message).

TensorRT's rules are what the ONNX parser and the builder of TensorRT-RTX 1.7 say of graphs with one flaw each, ONNX
Runtime's and OpenVINO's what 1.32 and 2026.4 compute from them; the tests ask all three again.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from onnx import NodeProto

from edgefair.errors import require
from edgefair.export.quantization.graph import DEQUANTIZE, QUANTIZE, Graph
from edgefair.export.quantization.qdq_symmetric import channel_axis
from edgefair.recipe.targets import TARGETS

NVIDIA, ORT, OPENVINO = (
    tuple(name for name, target in TARGETS.items() if target.library == library)
    for library in ("tensorrt", "onnxruntime", "openvino")
)
CPU = tuple(name for name, target in TARGETS.items() if not target.gpu)
ALL = tuple(dict.fromkeys((*NVIDIA, *ORT, *OPENVINO, *TARGETS)))
REJECTS, MISREADS, SLOW, INEXACT = "rejects", "misreads", "slow", "inexact"
ELEMENTWISE = ("Relu", "LeakyRelu", "Clip", "Sigmoid", "HardSigmoid", "HardSwish", "Mul", "Add")
OPERATORS = ("QLinearConv", "QLinearMatMul", "QLinearAdd", "QLinearMul", "QLinearSigmoid", "QLinearGlobalAveragePool")
SEVEN_BITS = 64  # two products with a uint8, 2 * 255 * 64, fit into 16 bits
Findings = Iterator[tuple[tuple[str, ...], str, str, str]]


class QuantizedGraph(Graph):
    """A graph and what its Q/DQ nodes say; `sites` are these nodes."""

    def __init__(self, model):
        super().__init__(model.graph)
        self.onnx = require("onnx", "onnx", "the dialect linter")
        self.opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
        self.sites = [node for node in self.nodes if node.op_type in (QUANTIZE, DEQUANTIZE) and len(node.input) > 1]

    def values(self, tensor: str) -> np.ndarray | None:
        """A constant's values; None for what is computed, or cannot be read."""
        if tensor not in self.constants:
            return None
        try:
            return np.asarray(self.onnx.numpy_helper.to_array(self.constants[tensor])).astype(np.float32)
        except (ValueError, TypeError):
            return None

    def format(self, node: "NodeProto") -> str:
        """The name of the number format of a Q/DQ node, such as INT8; "" where only the runtime would know."""
        zero = self.constants.get(node.input[2]) if len(node.input) > 2 else None
        data = self.constants.get(node.input[0])
        typed = zero if zero is not None else data if node.op_type == DEQUANTIZE else None
        return "" if typed is None else self.onnx.TensorProto.DataType.Name(typed.data_type)

    def quantized(self, tensor: str) -> "NodeProto | None":
        """The DequantizeLinear that makes a tensor, or None."""
        node = self.producer.get(tensor)
        return node if node is not None and node.op_type == DEQUANTIZE and len(node.input) > 1 else None

    def products(self) -> Iterator[tuple]:
        """(node, DQ of its activation or None, DQ of its weight) for weighted nodes with a quantised weight."""
        for node in self.weighted():
            if (weight := self.quantized(node.input[1])) is not None:
                yield node, self.quantized(node.input[0]), weight

    def in_eight_bits(self) -> set[str]:
        """Names of the outputs of weighted nodes with both operands quantised."""
        return {node.output[0] for node, activation, _ in self.products() if activation is not None}

    def next_nodes(self, tensor: str, through: str) -> list:
        """Consumers of a tensor, those of kind `through` replaced by their own consumers."""
        found = []
        for node in self.consumers.get(tensor, []):
            found += self.consumers.get(node.output[0], []) if node.op_type == through else [node]
        return found


def number_format(graph: QuantizedGraph) -> Findings:
    """TensorRT reads Q/DQ in int8, int4 and e4m3 only, and takes uint8 and what has no zero point for int8."""
    for node in graph.sites:
        kind, constant = graph.format(node), node.input[0] in graph.constants
        if kind == "UINT8" and not constant:
            message = "uint8 activations: TensorRT takes them for int8 with a mere warning, and values over 127 are cut"
            yield NVIDIA, MISREADS, node.name, message
        elif kind == "INT32":
            yield NVIDIA, REJECTS, node.name, "int32 behind DequantizeLinear, usually a bias: leave biases in float"
        elif kind not in ("", "INT8", "INT4", "FLOAT8E4M3FN"):
            yield NVIDIA, REJECTS, node.name, f"{kind.lower()} is no format that TensorRT reads here; use int8 or e4m3"
        elif node.op_type == QUANTIZE and len(node.input) < 3 and not node.attribute:
            message = (
                "no zero point: ONNX says uint8, TensorRT reads int8 without a warning, and values over 127 are cut"
            )
            yield NVIDIA, MISREADS, node.name, message


def zero_point(graph: QuantizedGraph) -> Findings:
    """TensorRT quantises symmetrically: it has no kernels that add a zero point."""
    for node in graph.sites:
        zero = graph.values(node.input[2]) if len(node.input) > 2 else None
        if zero is not None and zero.any():
            yield NVIDIA, REJECTS, node.name, "a zero point that is not 0: TensorRT quantises symmetrically only"


def mixed_formats(graph: QuantizedGraph) -> Findings:
    """TensorRT multiplies operands of one number format; its builder finds no kernel for two."""
    for node, activation, weight in graph.products():
        # TensorRT takes uint8 for int8, which another rule reports.
        formats = {graph.format(one).replace("UINT8", "INT8") for one in (activation, weight) if one is not None}
        if activation is not None and len(formats - {""}) > 1:
            yield NVIDIA, REJECTS, node.name, "activation and weight in different formats: the builder fails"


def scale(graph: QuantizedGraph) -> Findings:
    """TensorRT folds scales into its kernels at build time, so they must be constant and positive."""
    for node in graph.sites:
        values = graph.values(node.input[1])
        if values is None:
            yield NVIDIA, REJECTS, node.name, "a scale that is computed rather than constant: the builder crashes"
        elif not (values > 0).all():
            yield NVIDIA, REJECTS, node.name, "a scale that is not positive"
            if not (np.isfinite(values).all() and values.all()):
                yield CPU, INEXACT, node.name, "a scale of zero or not a number: what it quantises is lost"


def channels(graph: QuantizedGraph) -> Findings:
    """One scale for each output channel can be applied to the sum of products; any other axis or number cannot."""
    for node, _, weight in graph.products():
        size, dims = graph.values(weight.input[1]), graph.constants[graph.origin(weight.input[0])].dims
        if size is None or len(dims) < 2:
            continue
        if size.size == 1:
            yield ALL, INEXACT, node.name, "one scale for a whole weight: channels with small weights lose most levels"
            continue
        axis = next((a.i for a in weight.attribute if a.name == "axis"), 1) % len(dims)
        if dims[axis] != size.size:
            yield ALL, REJECTS, node.name, "the number of scales is not the number of channels"
        elif axis != channel_axis(node, dims):
            message = (
                "scales along the wrong axis of a weight: only one for each output channel can be applied to the sum"
            )
            yield ("ort-cpu",), REJECTS if node.op_type == "MatMul" else SLOW, node.name, message
            yield (*NVIDIA, *OPENVINO), SLOW, node.name, message


def activation_channels(graph: QuantizedGraph) -> Findings:
    """A scale for each channel of an activation changes within a sum of products, so no kernel takes it."""
    for node in graph.sites:
        values = graph.values(node.input[1])
        if node.op_type == QUANTIZE and not graph.is_constant(node.input[0]) and values is not None and values.size > 1:
            yield ALL, SLOW, node.name, "an activation with a scale for each channel: computed in float"


def squeeze_excitation(graph: QuantizedGraph) -> Findings:
    """A squeeze-excitation gate scales every channel, so its rounding is multiplied into all of them."""
    for nodes in graph.squeeze_excitation():
        for node in nodes:
            inside = [name for name in node.input if graph.quantized(name) is not None]
            if inside and node.op_type not in ("ReduceMean", "GlobalAveragePool"):
                message = "Q/DQ inside squeeze-excitation: the gate multiplies every channel, and its products are tiny"
                yield NVIDIA, SLOW, node.name, message
                yield ALL, INEXACT, node.name, message


def residual(graph: QuantizedGraph) -> Findings:
    """A convolution adds its residual in the same kernel only where that is quantised as well."""
    products = {node.name for node, activation, _ in graph.products() if activation is not None}
    for node, index, main in graph.residuals():
        if main.name in products and graph.quantized(node.input[index]) is None:
            yield (
                NVIDIA,
                SLOW,
                node.name,
                "the residual is not quantised, so the convolution cannot add it in eight bits",
            )


def output(graph: QuantizedGraph) -> Findings:
    """Q/DQ between a product and an elementwise operation keeps TensorRT from fusing the two."""
    made = graph.in_eight_bits()
    residuals = {node.input[index] for node, index, _ in graph.residuals()}
    for node in graph.sites:
        if node.op_type != QUANTIZE or node.input[0] not in made:
            continue
        behind = [(name, after) for name, after in _behind(graph, node) if after.op_type in ELEMENTWISE]
        if any(name not in residuals for name, _ in behind):
            yield (
                NVIDIA,
                SLOW,
                node.name,
                "Q/DQ between a product and what would be fused with it: two kernels, not one",
            )


def _behind(graph: QuantizedGraph, node) -> Iterator[tuple]:
    """(tensor, consumer) behind the DQ of a Q."""
    for dequantize in graph.consumers.get(node.output[0], []):
        for name in dequantize.output:
            yield from ((name, after) for after in graph.consumers.get(name, []))


def unfused(graph: QuantizedGraph) -> Findings:
    """ONNX Runtime fuses a convolution into one of eight bits only between DequantizeLinear and QuantizeLinear."""
    for node, activation, _ in graph.products():
        after = graph.next_nodes(node.output[0], "Relu")
        if activation is None or (node.op_type == "Conv" and not any(one.op_type == QUANTIZE for one in after)):
            message = "a convolution without Q/DQ on all sides: ONNX Runtime dequantises and computes in float"
            yield ("ort-cpu",), SLOW, node.name, message


def signed(graph: QuantizedGraph) -> Findings:
    """On x86, ONNX Runtime's fast kernels multiply unsigned activations with signed weights."""
    for node in graph.sites:
        if node.op_type == QUANTIZE and graph.format(node) == "INT8" and not graph.is_constant(node.input[0]):
            yield ("ort-cpu",), SLOW, node.name, "int8 activations: on x86 slower than float, which wants uint8"


def sums(graph: QuantizedGraph) -> Findings:
    """x86 without VNNI adds two products in 16 bits, which weights beyond 64 overflow."""
    for node, activation, weight in graph.products():
        stored = graph.values(weight.input[0]) if graph.format(weight) == "INT8" else None
        if activation is not None and stored is not None and np.abs(stored).max(initial=0) > SEVEN_BITS:
            message = (
                "weights of eight bits: x86 without VNNI cuts their sums at 16 bits (quantize.reduce_range = true)"
            )
            yield CPU, INEXACT, node.name, message


def simulated(graph: QuantizedGraph) -> Findings:
    """ONNX Runtime's CUDA provider has no convolution of eight bits."""
    if graph.sites:
        message = "the CUDA provider has no eight-bit convolution: it quantises, dequantises and computes in float"
        yield ("ort-cuda",), SLOW, "", message


def float8(graph: QuantizedGraph) -> Findings:
    """fp8 came with operator set 19, and the CPU runtimes do not compute it as the file says."""
    for node in graph.sites:
        if not graph.format(node).startswith("FLOAT8"):
            continue
        if graph.opset < 19:
            yield ORT, REJECTS, node.name, f"fp8 in operator set {graph.opset}; ONNX has it from 19 on"
        yield OPENVINO, MISREADS, node.name, "fp8: the CPU plugin computes something else from it"
        made = graph.producer.get(node.input[0])
        if node.op_type == QUANTIZE and made is not None and made.op_type in ("Relu", "Clip"):
            yield ORT, MISREADS, node.name, "fp8 behind a Relu or Clip, which ONNX Runtime's optimiser takes out"


def operators(graph: QuantizedGraph) -> Findings:
    """Quantised operators (QLinearConv, ...) are ONNX Runtime's on the CPU alone; others read Q/DQ nodes."""
    for node in graph.nodes:
        if node.op_type in OPERATORS:
            yield NVIDIA, REJECTS, node.name, "quantised operators: TensorRT reads QuantizeLinear and DequantizeLinear"
            yield ("ort-cuda",), REJECTS, node.name, "quantised operators, which the CUDA provider does not have"


RULES = {
    "number-format": number_format,
    "zero-point": zero_point,
    "mixed-formats": mixed_formats,
    "scale": scale,
    "weight-channels": channels,
    "activation-channels": activation_channels,
    "squeeze-excitation": squeeze_excitation,
    "residual": residual,
    "output": output,
    "unfused": unfused,
    "signed": signed,
    "sums": sums,
    "simulated": simulated,
    "fp8": float8,
    "operators": operators,
}
