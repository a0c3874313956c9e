"""Small quantised graphs with one flaw each, as other tools write them: what the dialect linter is tested on."""

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

SIDE, WIDTH = 8, 8
INT8, UINT8, FP8, E5M2 = TensorProto.INT8, TensorProto.UINT8, TensorProto.FLOAT8E4M3FN, TensorProto.FLOAT8E5M2


class Builder:
    """Collects the nodes and tensors of one graph; `act` and `weight` put Q/DQ before an operand."""

    def __init__(self, kind: int = INT8, opset: int = 18):
        self.kind, self.opset = kind, opset
        self.nodes, self.tensors = [], []
        self.rng = np.random.default_rng(0)

    def const(self, name, values, kind=None):
        values = np.asarray(values)
        made = numpy_helper.from_array(values, name)
        self.tensors.append(made if kind is None else helper.make_tensor(name, kind, values.shape, values.ravel()))
        return name

    def node(self, op, inputs, name, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [name], f"{name}_{op}", **attributes))
        return name

    def act(self, source, name, kind=None, zero=0, scale=0.1, **attributes):
        kind = kind or self.kind
        scale = np.asarray(scale, np.float32)
        parameters = [self.const(f"{name}_s", scale), self.const(f"{name}_z", np.full(scale.shape, zero), kind)]
        quantized = self.node("QuantizeLinear", [source, *parameters], f"{name}_q", **attributes)
        return self.node("DequantizeLinear", [quantized, *parameters], name, **attributes)

    def weight(self, name, shape, axis=0, kind=None, zero=0, channels=None, largest=64):
        kind = kind or self.kind
        lowest = 0 if kind == UINT8 else -min(largest, 7 if kind == TensorProto.INT4 else largest)
        size = () if axis is None else (channels or shape[axis],)
        inputs = [
            self.const(f"{name}_q", self.rng.integers(lowest, abs(lowest) + 1 or largest, shape), kind),
            self.const(f"{name}_s", np.full(size, 0.01, np.float32)),
            self.const(f"{name}_z", np.full(size, zero), kind),
        ]
        return self.node("DequantizeLinear", inputs, name, **({} if axis is None else {"axis": axis}))

    def floats(self, name, *shape):
        return self.const(name, self.rng.normal(size=shape).astype(np.float32))

    def start(self):
        return self.node("Cast", ["images"], "x", to=TensorProto.FLOAT)

    def conv(self, source, name, cin=WIDTH, bias=None, side=3, **weight):
        operands = [source, self.weight(f"{name}_w", (WIDTH, cin, side, side), **weight), *([bias] if bias else [])]
        return self.node("Conv", operands, name, pads=[side // 2] * 4)

    def model(self, last) -> ModelProto:
        features = self.node("Flatten", [self.node("GlobalAveragePool", [last], "pooled")], "features")
        return self.end(features)

    def end(self, features) -> ModelProto:
        self.node("MatMul", [features, self.floats("head_w", WIDTH, 3)], "logits")
        images = helper.make_tensor_value_info("images", UINT8, ["batch", 3, SIDE, SIDE])
        logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])
        graph = helper.make_graph(self.nodes, "g", [images], [logits], self.tensors)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=10)


def simple(kind=INT8, opset=18, act=None, weight=None) -> ModelProto:
    """Q/DQ before both operands of a convolution, then a ReLU."""
    build = Builder(kind, opset)
    source = build.act(build.start(), "a", **(act or {}))
    return build.model(build.node("Relu", [build.conv(source, "c", 3, **(weight or {}))], "r"))


def quantised_bias() -> ModelProto:
    build = Builder()
    parts = [np.arange(WIDTH, dtype=np.int32), np.full(WIDTH, 0.001, np.float32), np.zeros(WIDTH, np.int32)]
    names = [build.const(f"b{i}", part) for i, part in enumerate(parts)]
    bias = build.node("DequantizeLinear", names, "bias", axis=0)
    return build.model(build.conv(build.act(build.start(), "a"), "c", 3, bias=bias))


def no_zero_point() -> ModelProto:
    build = Builder()
    scale = build.const("s", np.float32(1))
    quantized = build.node("QuantizeLinear", [build.start(), scale], "q")
    return build.model(build.conv(build.node("DequantizeLinear", [quantized, scale], "a"), "c", 3))


def computed_scale() -> ModelProto:
    build = Builder()
    source = build.start()
    parameters = [build.node("ReduceMax", [source], "s", keepdims=0), build.const("z", np.int8(0))]
    quantized = build.node("QuantizeLinear", [source, *parameters], "q")
    return build.model(build.conv(build.node("DequantizeLinear", [quantized, *parameters], "a"), "c", 3))


def quantised_output() -> ModelProto:
    """Q/DQ between a convolution and its ReLU."""
    build = Builder()
    between = build.act(build.conv(build.act(build.start(), "a"), "c", 3), "o")
    return build.model(build.conv(build.act(build.node("Relu", [between], "r"), "a2"), "c2"))


def residual(quantized: bool) -> ModelProto:
    """conv(x) + x, with or without Q/DQ before the x that is added."""
    build = Builder()
    x = build.node("Relu", [build.conv(build.act(build.start(), "a"), "c", 3)], "r")
    a2 = build.act(x, "a2")
    return build.model(build.node("Add", [build.conv(a2, "c2"), a2 if quantized else x], "sum"))


def squeeze_excitation(quantized: bool) -> ModelProto:
    """x * sigmoid(conv(relu(conv(pool(x))))), with or without Q/DQ inside."""
    build = Builder()
    x = build.node("Relu", [build.conv(build.act(build.start(), "a"), "c", 3)], "r")
    gate = build.node("GlobalAveragePool", [x], "pool")
    for name, after in (("down", "Relu"), ("up", "Sigmoid")):
        if quantized:
            gate = build.conv(build.act(gate, f"{name}_a"), name, side=1)
        else:
            gate = build.node("Conv", [gate, build.floats(f"{name}_w", WIDTH, WIDTH, 1, 1)], name)
        gate = build.node(after, [gate], f"{name}_{after}")
    return build.model(build.node("Mul", [x, gate], "scaled"))


def matrix(op: str, axis: int | None, transposed: int = 0) -> ModelProto:
    """A quantised matrix product behind the pooled convolution."""
    build = Builder()
    pooled = build.node("GlobalAveragePool", [build.conv(build.act(build.start(), "a"), "c", 3)], "pooled")
    features = build.act(build.node("Flatten", [pooled], "features"), "fa", scale=100.0)
    weight = build.weight("m_w", (16, WIDTH) if transposed else (WIDTH, 16), axis=axis)
    wide = build.node(op, [features, weight], "m", **({"transB": 1} if transposed else {}))
    return build.end(build.node("MatMul", [wide, build.floats("n_w", 16, WIDTH)], "n"))


def operator_format() -> ModelProto:
    """QLinearConv in place of Q/DQ around a Conv."""
    build = Builder()
    scale, zero = build.const("s", np.float32(1)), build.const("z", np.int8(0))
    build.const("w", build.rng.integers(-64, 65, (WIDTH, 3, 3, 3)), INT8)
    quantized = build.node("QuantizeLinear", [build.start(), scale, zero], "q")
    made = build.node("QLinearConv", [quantized, scale, zero, "w", scale, zero, scale, zero], "c")
    return build.model(build.node("DequantizeLinear", [made, scale, zero], "d"))


def fp8_behind_relu() -> ModelProto:
    build = Builder(FP8, 19)
    x = build.node("Relu", [build.conv(build.act(build.start(), "a", scale=1.0), "c", 3)], "r")
    return build.model(build.conv(build.act(x, "a2", scale=50.0), "c2"))


# name -> (makes the graph, what TensorRT does with it, the rules that must speak up, for any target)
GOLDEN = {
    "clean": (simple, "clean", set()),
    "fp8": (lambda: simple(FP8, 19), "clean", {"fp8"}),
    "fp8 behind a relu": (fp8_behind_relu, "clean", {"fp8"}),
    "fp8 in opset 18": (lambda: simple(FP8), "clean", {"fp8"}),
    "e5m2": (lambda: simple(E5M2, 19), "rejects", {"number-format"}),
    "uint8 activations": (lambda: simple(act={"kind": UINT8}), "misreads", {"number-format"}),
    "uint8 around 128": (lambda: simple(act={"kind": UINT8, "zero": 128}), "rejects", {"zero-point"}),
    "int8 around 3": (lambda: simple(act={"zero": 3}), "rejects", {"zero-point"}),
    "weights around 3": (lambda: simple(weight={"zero": 3}), "rejects", {"zero-point"}),
    "uint8 weights": (lambda: simple(weight={"kind": UINT8}), "rejects", {"number-format"}),
    "int16 activations": (lambda: simple(opset=21, act={"kind": TensorProto.INT16}), "rejects", {"number-format"}),
    "int32 bias": (quantised_bias, "rejects", {"number-format"}),
    "no zero point": (no_zero_point, "misreads", {"number-format"}),
    "fp8 times int8": (lambda: simple(opset=19, act={"kind": FP8}), "rejects", {"mixed-formats"}),
    "int8 times int4": (lambda: simple(opset=21, weight={"kind": TensorProto.INT4}), "rejects", {"mixed-formats"}),
    "negative scale": (lambda: simple(act={"scale": -0.1}), "rejects", {"scale"}),
    "scale of zero": (lambda: simple(act={"scale": 0.0}), "rejects", {"scale"}),
    "scale not a number": (lambda: simple(act={"scale": np.nan}), "rejects", {"scale"}),
    "computed scale": (computed_scale, "rejects", {"scale"}),
    "one scale for a weight": (lambda: simple(weight={"axis": None}), "clean", {"weight-channels"}),
    "scales of input channels": (lambda: simple(weight={"axis": 1}), "clean", {"weight-channels"}),
    "too few scales": (lambda: simple(weight={"channels": 3}), "rejects", {"weight-channels"}),
    "scales of an activation": (
        lambda: simple(act={"scale": [0.1, 0.2, 0.3], "axis": 1}),
        "clean",
        {"activation-channels"},
    ),
    "weights of eight bits": (lambda: simple(weight={"largest": 127}), "clean", {"sums"}),
    "quantised output": (quantised_output, "clean", {"output"}),
    "float residual": (lambda: residual(False), "clean", {"residual"}),
    "quantised residual": (lambda: residual(True), "clean", set()),
    "float gate": (lambda: squeeze_excitation(False), "clean", set()),
    "quantised gate": (lambda: squeeze_excitation(True), "clean", {"squeeze-excitation"}),
    "MatMul": (lambda: matrix("MatMul", 1), "clean", set()),
    "MatMul, wrong axis": (lambda: matrix("MatMul", 0), "clean", {"weight-channels"}),
    "Gemm": (lambda: matrix("Gemm", 1), "clean", set()),
    "Gemm, transposed": (lambda: matrix("Gemm", 0, 1), "clean", set()),
    "Gemm, wrong axis": (lambda: matrix("Gemm", 1, 1), "clean", {"weight-channels"}),
    "operators": (operator_format, "rejects", {"operators"}),
}
NOISE = {"unfused", "signed", "simulated"}  # said of every signed file, for ONNX Runtime
