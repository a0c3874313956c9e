"""Small float networks as ONNX files, made without torch: a residual one with ReLU, one with SiLU and SE gates."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

SIDE, WIDTH, CLASSES = 16, 16, 4


def images(rows: int, seed: int) -> np.ndarray:
    """uint8 [rows, 3, SIDE, SIDE]: a colour, a contrast and a stripe width of its own each, so that logits differ."""
    rng = np.random.default_rng(seed)
    colour, contrast = rng.uniform(0, 255, (rows, 3, 1, 1)), rng.uniform(0, 120, (rows, 1, 1, 1))
    stripes = np.sin(np.arange(SIDE) * rng.uniform(0.2, 3, (rows, 1, 1, 1))) * contrast
    return np.clip(colour + stripes + rng.normal(0, 10, (rows, 3, SIDE, SIDE)), 0, 255).astype(np.uint8)


class Net:
    """Nodes and tensors of a network that scales uint8 images, with weights drawn by a seed."""

    def __init__(self, seed: int = 0):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.tensors = [], []
        x = self.node("Cast", ["images"], "pixels", to=TensorProto.FLOAT)
        x = self.node("Mul", [x, self.const("scale", np.float32(1 / 64))], "scaled")
        self.start = self.node("Add", [x, self.const("shift", np.float32(-2))], "normalised")

    def node(self, op, inputs, name, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [name], f"{name}_{op}", **attributes))
        return name

    def const(self, name, values):
        self.tensors.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def weight(self, name, *shape, gain=2.0):
        deviation = np.sqrt(gain / np.prod(shape[1:]))
        return self.const(name, self.rng.normal(0, deviation, shape).astype(np.float32))

    def conv(self, x, name, cin=WIDTH, cout=WIDTH, side=3, groups=1):
        weight = self.weight(f"{name}_w", cout, cin // groups, side, side)
        bias = self.const(f"{name}_b", self.rng.normal(0, 0.1, cout).astype(np.float32))
        return self.node("Conv", [x, weight, bias], name, pads=[side // 2] * 4, group=groups)

    def silu(self, x, name):
        return self.node("Mul", [x, self.node("Sigmoid", [x], f"{name}_gate")], name)

    def save(self, last, path):
        x = self.node("Flatten", [self.node("GlobalAveragePool", [last], "pooled")], "features")
        bias = self.const("head_b", np.zeros(CLASSES, np.float32))
        self.node("Gemm", [x, self.weight("head_w", CLASSES, WIDTH), bias], "logits", transB=1)
        images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", 3, SIDE, SIDE])
        logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])
        graph = helper.make_graph(self.nodes, "net", [images], [logits], self.tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        helper.set_model_props(model, {"class_names": "a\nb\nc\nd"})
        path.write_bytes(model.SerializeToString())
        return path


def residual_net(path):
    """conv-relu, then relu(conv(relu(conv(x))) + x), then relu(conv(x) + conv1x1(x))."""
    net = Net()
    x = net.node("Relu", [net.conv(net.start, "stem", 3)], "stem_relu")
    inner = net.node("Relu", [net.conv(x, "one")], "one_relu")
    x = net.node("Relu", [net.node("Add", [net.conv(inner, "two"), x], "sum")], "sum_relu")
    short = net.conv(x, "short", side=1)
    x = net.node("Relu", [net.node("Add", [net.conv(x, "three"), short], "last")], "last_relu")
    return net.save(x, path)


def gated_net(path):
    """conv-silu, depthwise conv-silu, a squeeze-excitation gate, conv1x1 + residual."""
    net = Net(1)
    x = net.silu(net.conv(net.start, "stem", 3), "stem_silu")
    deep = net.silu(net.conv(x, "deep", groups=WIDTH), "deep_silu")
    gate = net.node("ReduceMean", [deep, net.const("axes", np.array([2, 3]))], "pool", keepdims=1)
    gate = net.silu(net.conv(gate, "down", side=1, cout=4), "down_silu")
    gate = net.node("Sigmoid", [net.conv(gate, "up", side=1, cin=4)], "gate")
    x = net.node("Add", [net.conv(net.node("Mul", [deep, gate], "excited"), "project", side=1), x], "sum")
    return net.save(x, path)
