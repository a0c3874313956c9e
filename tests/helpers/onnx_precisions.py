"""Quantised by hand, without the care that `edgefair.export.quantization` takes: what TensorRT must not be given."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ZEROS = {
    "int8": lambda name: numpy_helper.from_array(np.int8(0), name),
    "uint8": lambda name: numpy_helper.from_array(np.uint8(0), name),
    "fp8": lambda name: helper.make_tensor(name, TensorProto.FLOAT8E4M3FN, [], [0.0]),
}


def quantized(source: Path, target: Path, codes: str, weights: str = "", operators=("Conv", "Gemm")) -> Path:
    """Q/DQ before both inputs of every convolution and product; per tensor, with one made-up scale for all."""
    model = onnx.load(source)
    graph = model.graph
    if codes == "fp8":
        model.opset_import[0].version = 19  # the first with float8
    graph.initializer.append(numpy_helper.from_array(np.float32(0.05), "scale"))
    graph.initializer.extend([ZEROS[codes]("zero"), ZEROS[weights or codes]("zero_w")])
    nodes, made = [], {}
    for node in graph.node:
        for side, zero in ((0, "zero"), (1, "zero_w")) if node.op_type in operators else ():
            name = node.input[side]
            if name not in made:
                made[name] = f"{name}_dq"
                nodes.append(helper.make_node("QuantizeLinear", [name, "scale", zero], [f"{name}_q"], f"{name}_Q"))
                inputs = [f"{name}_q", "scale", zero]
                nodes.append(helper.make_node("DequantizeLinear", inputs, [made[name]], f"{name}_DQ"))
            node.input[side] = made[name]
        nodes.append(node)
    return _save(model, nodes, target)


def _save(model: onnx.ModelProto, nodes: list, target: Path) -> Path:
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:], model.graph.value_info[:]
    model.graph.node.extend(copies)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, target)
    return target
