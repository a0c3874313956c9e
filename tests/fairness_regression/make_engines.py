"""Make the committed engines again: python tests/fairness_regression/make_engines.py FOLDER

Two ResNet-8 of the same recipe and different seeds, trained with cross-entropy on skewed Trifeature rows, exported to
ONNX with their weights stored in half precision (165 kB each; the graph computes in fp32). Minutes on two CPU cores.
Training is not the same bit for bit on every processor, so new engines need a new baseline.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgefair.data import load_examples
from edgefair.export.onnx_export import export_onnx
from edgefair.log import Log
from edgefair.recipe import parse
from edgefair.training.stages import train_teacher

RECIPE = {
    "data": {"train_rows": 8000, "skew": 0.8, "gate_rows": 400},
    "teacher": {"spec": "cifar:resnet8", "epochs": 8, "lr": 0.05},
}


def store_weights_in_half(source: Path, target: Path) -> None:
    """Rewrite a graph so that its larger weights are fp16 constants, cast to fp32 before use."""
    model = onnx.load(source)
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and np.prod(tensor.dims) >= 64:
            name = tensor.name
            half = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), f"{name}.half")
            tensor.CopyFrom(half)
            casts.append(helper.make_node("Cast", [half.name], [name], name=f"{name}.cast", to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, target)


def main(folder: Path) -> None:
    """Train, export and store both engines."""
    log = Log()
    for name, seed in (("student", 0), ("other-seed", 1)):
        recipe = parse({**RECIPE, "seed": seed})
        with tempfile.TemporaryDirectory() as scratch:
            examples = load_examples(recipe.data, seed, log)
            model, _ = train_teacher(recipe, examples, Path(scratch), log)
            images = examples.images[examples.rows["calibration"][:8]]
            names = {"class_names": list(examples.class_names), "group_names": list(examples.group_names)}
            export_onnx(model, images, recipe.export, Path(scratch) / "full.onnx", names)
            store_weights_in_half(Path(scratch) / "full.onnx", folder / f"{name}.onnx")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
