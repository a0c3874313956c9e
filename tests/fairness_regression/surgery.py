"""Edits of an ONNX file, harmful and harmless, in the graph and not in the numbers around it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper

from edgefair.models import create


def edited(source: Path, target: Path, edit: Callable[[onnx.ModelProto], None]) -> Path:
    """Write `source` to `target` after an edit in place; the checker must find nothing wrong with it."""
    model = onnx.load(source)
    edit(model)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, target)
    return target


def channels_reversed(model: onnx.ModelProto) -> None:
    """BGR where the network learned RGB."""
    order = numpy_helper.from_array(np.array([2, 1, 0]), "bgr")
    model.graph.initializer.append(order)
    _rewire(model, "images", "images.bgr")
    model.graph.node.insert(0, helper.make_node("Gather", ["images", "bgr"], ["images.bgr"], axis=1))


def scale_forgotten(model: onnx.ModelProto) -> None:
    """Pixels of 0 .. 255 where 0 .. 1 are expected: the division by 255 is missing."""
    _constant(model, "model.scale", lambda value: 255 * value)


def mean_and_std_forgotten(model: onnx.ModelProto) -> None:
    """Pixels of 0 .. 1 without subtraction of the mean and division by the standard deviation."""
    _constant(model, "model.scale", lambda value: np.full_like(value, 1 / 255))
    _constant(model, "model.shift", np.zeros_like)


def saturated(limit: float) -> Callable[[onnx.ModelProto], None]:
    """The last activation stops at `limit`, as with a calibration range that is far too small."""

    def edit(model: onnx.ModelProto) -> None:
        last = [node for node in model.graph.node if node.op_type == "Relu"][-1].output[0]
        for name, value in (("clip.low", 0.0), ("clip.high", limit)):
            model.graph.initializer.append(numpy_helper.from_array(np.float32(value), name))
        _rewire(model, last, f"{last}.clipped")
        place = next(i for i, node in enumerate(model.graph.node) if last in node.output) + 1
        clip = helper.make_node("Clip", [last, "clip.low", "clip.high"], [f"{last}.clipped"])
        model.graph.node.insert(place, clip)

    return edit


def as_torch(path: Path, num_classes: int):
    """The ResNet-8 that an exported file was made from: its batch normalisation is folded into the convolutions."""
    constants = {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    weights = {
        name.removesuffix(".half").removeprefix("model."): torch.from_numpy(value.astype(np.float32))
        for name, value in constants.items()
    }
    model = create("cifar:resnet8", num_classes, 0).eval()
    state = model.state_dict()
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            norm = _norm_of(name)
            state[f"{name}.weight"] = weights[f"{name}.weight"]
            state[f"{norm}.bias"] = weights[f"{name}.weight_bias"]
            state[f"{norm}.running_var"] = torch.full_like(state[f"{norm}.running_var"], 1 - 1e-5)
    for part in ("weight", "bias"):
        state[f"backbone.head.{part}"] = weights[f"backbone.head.{part}"]
    model.load_state_dict(state)
    return model


def _norm_of(convolution: str) -> str:
    """The name of the batch normalisation that follows a convolution."""
    head, _, last = convolution.rpartition(".")
    return f"{head}.{last.replace('conv', 'bn')}" if last.startswith("conv") else f"{head}.1"


def _constant(model: onnx.ModelProto, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    tensor = next(t for t in model.graph.initializer if t.name == name)
    tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)), name))


def _rewire(model: onnx.ModelProto, old: str, new: str) -> None:
    """Let every node that reads `old` read `new`."""
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name == old:
                node.input[place] = new
