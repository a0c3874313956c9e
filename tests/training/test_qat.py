"""Fake quantisation computes what the exported Q/DQ computes; gradients pass straight; every strategy bears it."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.func import jvp

from edgefair.data import load_examples
from edgefair.errors import TrainingError
from edgefair.export.mixed_precision.simulate import Variants
from edgefair.export.quantization import quantizable
from edgefair.export.quantization.calibration import calibrate
from edgefair.models import create, save_weights
from edgefair.strategies import STRATEGIES
from edgefair.training import qat as module
from edgefair.training.assemble import build_training
from edgefair.training.fake_quant import FakeInput, FakeWeight, install, remove, rounded
from edgefair.training.qat import finetune, finetune_settings
from tests.helpers.recipes import tiny


def onnx_pair(x, scale, zero_point):
    """DequantizeLinear(QuantizeLinear(x)) by ONNX Runtime."""
    tensors = [numpy_helper.from_array(np.asarray(v), n) for n, v in (("s", np.float32(scale)), ("z", zero_point))]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None]) for name in "xy"]
    graph = helper.make_graph(nodes, "pair", ends[:1], ends[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(
        None, {"x": x}
    )[0]


@pytest.mark.parametrize(("unsigned", "kind"), [(True, np.uint8), (False, np.int8)])
@pytest.mark.parametrize(("low", "high"), [(-0.3, 5.0), (0.0, 1.0), (-2.0, 0.5), (0.2, 0.7)])
def test_inputs_are_rounded_as_onnx_does(low, high, unsigned, kind):
    fake = FakeInput(low, high, unsigned)
    scale = fake.scale.numpy()
    steps = np.arange(-140, 300, 0.5, dtype=np.float32) * scale  # halves between two steps, and what is clipped
    x = np.concatenate([steps, np.random.default_rng(0).normal(0, 2, 500).astype(np.float32)])
    expected = onnx_pair(x, scale, kind(fake.zero_point.item()))
    assert fake(torch.from_numpy(x)).numpy() == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
def test_weights_are_rounded_as_the_quantiser_does(exported):
    model, source, images = exported
    variants = _variants(source, images, "tensorrt")
    written = onnx.ModelProto.FromString(variants.model(set(quantizable(source, "tensorrt", tiny().quantize))))
    tensors = {t.name: numpy_helper.to_array(t) for t in written.graph.initializer}
    name = next(name for name in tensors if name.endswith("head.weight_quantized"))
    scale = tensors[name.replace("_quantized", "_scale")]
    expected = tensors[name].astype(np.float32) * (scale[:, None] if tensors[name].shape[0] == len(scale) else scale)
    found = FakeWeight()(model.backbone.head.weight.detach()).numpy()
    assert found == pytest.approx(expected if found.shape == expected.shape else expected.T, abs=1e-7)


def test_gradients_pass_straight_in_reverse_and_forward_mode():
    x = torch.linspace(-3, 3, 31, requires_grad=True)
    pair = torch.tensor(0.1), torch.tensor(0.0)
    rounded(x, *pair, -10, 10).pow(2).sum().backward()
    assert torch.allclose(x.grad, 2 * rounded(x, *pair, -10, 10).detach())  # d y / d x = 1, clipped or not
    value, moved = jvp(lambda x: rounded(x, *pair, -10, 10), (x.detach(),), (torch.ones(31),))
    assert torch.equal(moved, torch.ones(31))
    assert value.abs().max() == pytest.approx(1.0)


@pytest.fixture(scope="module")
def examples():
    from edgefair.log import Log

    return load_examples(tiny(data__train_rows=60, data__validation_rows=20).data, 0, Log(quiet=True))


@pytest.fixture
def exported(examples, small_run):
    """A trained network, its ONNX file, and images."""
    model = create(f"file:{small_run / 'student' / 'student.safetensors'}", 10, 0).eval()
    images = np.ascontiguousarray(examples.images[examples.rows["calibration"][:60]])
    return model, small_run / "artefacts" / "student.onnx", images


def _variants(source, images, dialect):
    recipe = tiny(quantize__method="minmax").quantize
    return Variants(source, dialect, recipe, calibrate(source, images, recipe, 20))


@pytest.mark.slow
def test_the_network_computes_what_its_quantised_file_computes(exported):
    model, source, images = exported
    variants = _variants(source, images, "tensorrt")
    every = {n for n in quantizable(source, "tensorrt", tiny().quantize) if not n.startswith("node_add")}
    expected, plain = variants.logits(every, images), variants.logits(set(), images)
    install(model, torch.from_numpy(images), "tensorrt")
    with torch.no_grad():
        found = model.eval()(torch.from_numpy(images)).logits.numpy()
    remove(model)
    error = np.abs(expected - plain).mean()
    # The batch normalisation is not folded here and sums differ in their last bits, so a value may fall to the other
    # side of a half; what remains is far under what eight bits do.
    assert np.abs(found - expected).mean() < 0.1 * error


@pytest.mark.slow
def test_removing_it_leaves_the_network_as_it_was(exported):
    model, _, images = exported
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        plain = model.eval()(torch.from_numpy(images)).logits
        install(model, torch.from_numpy(images), "ort-cpu")
        assert not torch.equal(model(torch.from_numpy(images)).logits, plain)
        remove(model)
        assert torch.equal(model(torch.from_numpy(images)).logits, plain)
    after = model.state_dict()
    assert set(after) == set(before)
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("dialect", ["ort-cpu", "tensorrt"])
@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
@pytest.mark.slow
def test_every_strategy_trains_a_quantised_student(strategy, dialect, examples):
    recipe = tiny(strategy__name=strategy, loss__name="ckd", train__batch_size=20)
    student, teacher = (create("cifar:resnet8", 10, seed) for seed in (0, 1))
    install(student, torch.from_numpy(np.array(examples.images[:20])), dialect)
    made, feed = build_training(finetune_settings(recipe, 1), examples, student, teacher, 0, torch.device("cpu"))
    made.start_epoch(1)
    student.train()
    before = {name: p.detach().clone() for name, p in student.named_parameters()}
    values = made.step(next(feed.epoch(1)))
    assert all(np.isfinite(value) for value in values.values())
    still = [name for name, p in student.named_parameters() if torch.equal(p, before[name])]
    assert not still


@pytest.mark.slow
def test_fine_tuning_stopped_and_gone_on_with_ends_with_the_same_weights(examples, tmp_path, quiet, monkeypatch):
    recipe = tiny(
        data__train_rows=60, data__validation_rows=20, train__batch_size=30, loss__name="ckd", strategy__name="intra"
    )
    for name, seed in (("student", 0), ("teacher", 1)):
        save_weights(create("cifar:resnet8", 10, seed), tmp_path / f"{name}.safetensors", 10)
    given = (recipe, examples, tmp_path / "student.safetensors", tmp_path / "teacher.safetensors")
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
    history = finetune(*given, tmp_path / "whole", "ort-cpu", 2, quiet)
    assert [row["epoch"] for row in history] == [1, 2]

    def stopping(*args):
        judge, seen = original(*args), []

        def once(model):
            seen.append(model)
            if len(seen) == 2:
                raise TrainingError("stopped")
            return judge(model)

        return once

    original = module.make_validation
    monkeypatch.setattr(module, "make_validation", stopping)
    with pytest.raises(TrainingError, match="stopped"):
        finetune(*given, tmp_path / "stopped", "ort-cpu", 2, quiet)
    monkeypatch.undo()
    finetune(*given, tmp_path / "stopped", "ort-cpu", 2, quiet)
    whole, gone_on = (create(f"file:{tmp_path / name / 'student.safetensors'}", 10, 0) for name in ("whole", "stopped"))
    assert all(
        torch.equal(a, b) for a, b in zip(whole.state_dict().values(), gone_on.state_dict().values(), strict=True)
    )
    start = create(f"file:{given[2]}", 10, 0).state_dict()
    assert any(not torch.equal(start[name], value) for name, value in whole.state_dict().items())


def test_warm_ups_are_not_gone_through_anew():
    names = {"loss__name": "kdpp", "strategy__name": "bird"}
    train, loss, strategy = finetune_settings(tiny(train__epochs=9, train__lr=0.1, **names), 3)
    assert (train.epochs, train.lr) == (3, pytest.approx(0.005))
    assert (loss.kd_warmup_epochs, strategy.warmup_epochs) == (0, 0)
    _, loss, strategy = finetune_settings(tiny(loss__name="ctkd"), 3)
    assert (loss.curriculum_epochs, strategy) == (1, tiny().strategy)
