"""A teacher from an ONNX file: what it says, what it is found to read, and what is refused."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from edgefair.data import load_examples
from edgefair.errors import ArtefactError, RecipeError
from edgefair.models import create, save_weights
from edgefair.training.stages import build, distil_student, dry_run
from tests.helpers.recipes import tiny

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 3, 8, 8), dtype=np.uint8)


def network(path, uint8=True, batch="rows", head="Gemm", classes=10):
    """Mean colour -> 6 features -> logits, by hand."""
    rng = np.random.default_rng(1)
    weights = {
        "first": rng.normal(size=(3, 6)),
        "last": rng.normal(size=(6, classes)),
        "bias": rng.normal(size=classes),
    }
    nodes = [
        helper.make_node("Cast", ["images"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("GlobalAveragePool", ["numbers"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "first"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["features"]),
    ]
    if head == "Gemm":
        nodes.append(helper.make_node("Gemm", ["features", "last", "bias"], ["logits"]))
    else:
        nodes.append(helper.make_node("MatMul", ["features", "last"], ["product"]))
        nodes.append(helper.make_node(head, ["product", "bias"], ["logits"]))
    side = IMAGES.shape[2:]
    kind = TensorProto.UINT8 if uint8 else TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "teacher",
        [helper.make_tensor_value_info("images", kind, [batch, 3, *side])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, classes])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    features = np.maximum(IMAGES.mean((2, 3)) @ weights["first"], 0)
    return features, features @ weights["last"] + weights["bias"]


@pytest.mark.parametrize("head", ["Gemm", "Add"])
@pytest.mark.parametrize("batch", ["rows", 2])
def test_logits_and_what_the_last_layer_reads(tmp_path, head, batch):
    features, logits = network(tmp_path / "teacher.onnx", head=head, batch=batch)
    model = create(f"onnx:{tmp_path / 'teacher.onnx'}", 10, 0)
    output = model(torch.from_numpy(IMAGES))
    np.testing.assert_allclose(output.logits, logits, rtol=1e-4)
    np.testing.assert_allclose(output.features, features, rtol=1e-4)
    assert output.maps is None
    save_weights(model, tmp_path / "kept.safetensors", 10)
    (tmp_path / "teacher.onnx").unlink()  # the weights hold it whole
    again = create(f"file:{tmp_path / 'kept.safetensors'}", 10, 0).eval()
    assert torch.equal(again(torch.from_numpy(IMAGES)).logits, output.logits)


def test_floats_are_scaled_as_the_recipe_says(tmp_path):
    features, _ = network(tmp_path / "teacher.onnx", uint8=False)
    spec = f"onnx:{tmp_path / 'teacher.onnx'}"
    with pytest.raises(ArtefactError, match=r"set teacher.input_mean and teacher.input_std"):
        create(spec, 10, 0)
    model = create(spec, 10, 0, options={"mean": [0, 0, 0], "std": [1 / 255] * 3, "features_output": "features"})
    np.testing.assert_allclose(model(torch.from_numpy(IMAGES)).features, features, rtol=1e-4)


def test_what_cannot_be_found_must_be_named(tmp_path):
    network(tmp_path / "teacher.onnx", head="Div")
    spec = f"onnx:{tmp_path / 'teacher.onnx'}"
    with pytest.raises(ArtefactError, match=r"set teacher.features_output"):
        create(spec, 10, 0)
    named = create(spec, 10, 0, options={"features_output": "features"})
    assert named(torch.from_numpy(IMAGES)).features.shape == (5, 6)
    with pytest.raises(
        ArtefactError, match=r"none of its outputs has 7 columns.*: logits \(10 columns\); give a teacher"
    ):
        create(spec, 7, 0)
    with pytest.raises(ArtefactError, match="its output 'pooled' is"):
        create(spec, 10, 0, options={"features_output": "pooled"})(torch.from_numpy(IMAGES))
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(ArtefactError, match=r"text.onnx cannot be used"):
        create(f"onnx:{tmp_path / 'text.onnx'}", 10, 0)


@pytest.mark.parametrize(("strategy", "loss"), [("plain", "ckd"), ("plain", "kdpp"), ("plain", "mfd"), ("bird", "rkd")])
def test_it_teaches_logits_and_features(tmp_path, loss, strategy, quiet):
    network(tmp_path / "teacher.onnx")
    changes = {"loss__name": loss, "strategy__name": strategy, "train__epochs": 1}
    if strategy == "bird":
        changes["strategy__warmup_epochs"] = 0
    recipe = tiny(data__image_size=8, teacher__spec=f"onnx:{tmp_path / 'teacher.onnx'}", data__train_rows=60, **changes)
    examples = load_examples(recipe.data, 0, quiet)
    teacher = build(recipe.teacher, examples, 0)
    _, history, _ = distil_student(recipe, examples, teacher, tmp_path, quiet)
    assert np.isfinite(history[0]["task"])


def test_maps_and_students_are_refused_with_a_reason(tmp_path, quiet):
    network(tmp_path / "teacher.onnx")
    spec = f"onnx:{tmp_path / 'teacher.onnx'}"
    recipe = tiny(data__image_size=8, teacher__spec=spec, loss__name="at", data__train_rows=60)
    examples = load_examples(recipe.data, 0, quiet)
    with pytest.raises(RecipeError, match=r"loss 'at' compares stage maps.*gives logits and features, not the maps"):
        dry_run(recipe, examples)
    with pytest.raises(RecipeError, match="an ONNX file, which cannot be trained"):
        dry_run(tiny(data__image_size=8, student__spec=spec, data__train_rows=60), examples)
