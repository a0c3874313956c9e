"""A finished run without any training: a small ONNX network stands for the student, so that a device can be played."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgefair.data import load_examples
from edgefair.data.gate_rows import GateRows
from edgefair.files import sha256, write_bytes, write_json
from edgefair.log import Log
from edgefair.runtimes import manifest
from edgefair.runtimes.artefact import Artefact
from edgefair.runtimes.predict import predict
from tests.helpers.recipes import tiny

RECIPE = tiny(
    data__train_rows=40,
    data__meta_rows=0,
    data__validation_rows=20,
    data__calibration_rows=20,
    data__gate_rows=300,
    gate__mean_drift_points=40,
    gate__accuracy_drop_points=10,
    gate__worst_group_drop_points=20,
    gate__min_cell=5,
)
FLOATS = {"fp32": TensorProto.FLOAT, "fp16": TensorProto.FLOAT16}


def toy_onnx(
    path, classes=10, size=32, precision="fp32", dtype=TensorProto.UINT8, channels=3, batch="batch", scale=1.0
):
    """Write conv, pool, matmul with weights by seed; int8 has Q/DQ around the convolution alone."""
    kind = FLOATS.get(precision, TensorProto.FLOAT)
    rng, number = np.random.default_rng(0), helper.tensor_dtype_to_np_dtype(kind)
    weights = rng.normal(size=(16, channels, 5, 5)) * scale
    constants = {"w": weights.astype(number), "fc": rng.normal(size=(16, classes)).astype(number)}
    nodes = [helper.make_node("Cast", ["images"], ["x"], to=kind)]
    if precision == "int8":
        step = np.float32(np.abs(weights).max() / 127)
        constants |= {"w": np.round(weights / step).astype(np.int8), "ws": step, "wz": np.int8(0)}
        constants |= {"xs": np.float32(1), "xz": np.uint8(0)}
        nodes += [
            helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
            helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["xd"]),
            helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"]),
        ]
    factors = ["xd", "wd"] if precision == "int8" else ["x", "w"]
    nodes += [
        helper.make_node("Conv", factors, ["c"], strides=[4, 4]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("MatMul", ["f", "fc"], ["y"]),
        helper.make_node("Cast", ["y"], ["logits"], to=TensorProto.FLOAT),
    ]
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("images", dtype, [batch, channels, size, size])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, classes])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    write_bytes(path, model.SerializeToString())
    return path


def make_run(folder):
    """A run folder as the main job leaves it, with an fp32 and an int8 file for ONNX Runtime; returns its gate rows."""
    made = folder / "artefacts"
    write_bytes(folder / "recipe.toml", RECIPE.to_toml().encode())
    toy_onnx(made / "student.onnx")
    toy_onnx(made / "student.int8.ort-cpu.onnx", precision="int8")
    write_bytes(made / "null.txt", b"10")
    for name in ("teacher", "student"):
        write_bytes(folder / name / f"{name}.safetensors", name.encode())
    manifest.write(
        made,
        [
            manifest.entry("ort-cpu-fp32", made / "student.onnx", "ort-cpu", "ort", "fp32"),
            manifest.entry("ort-cpu-int8", made / "student.int8.ort-cpu.onnx", "ort-cpu", "ort", "int8"),
        ],
    )
    gate = GateRows.of(load_examples(RECIPE.data, RECIPE.seed, Log(quiet=True)))
    weights = folder / "student" / "student.safetensors"
    onnx_file = Artefact("student", made / "student.onnx", "ort", "fp32", "")
    predictions = predict(onnx_file, gate, Log(quiet=True))
    predictions.about["sha256"] = sha256(weights)
    predictions.save(folder / "predictions" / "student.npz")
    for stage in ("teacher", "student", "artefacts", "predictions"):
        files = {path.name: sha256(path) for path in (folder / stage).iterdir()}
        write_json(folder / stage / "stage.json", {"finished": True, "made_from": {}, "files": files, "seconds": 0})
    return gate
