"""On a CUDA device: training runs there, with its data, in bf16, and teaches what the CPU teaches."""

import itertools

import pytest
import torch

from edgefair.data import load_examples
from edgefair.losses import LOSSES
from edgefair.losses.rkd import angle_loss
from edgefair.models import create
from edgefair.pipeline.job import distill_and_export
from edgefair.strategies import STRATEGIES
from edgefair.training.assemble import TrainingSettings, build_training
from edgefair.training.loader import BatchLoader
from tests.helpers.recipes import tiny

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device: training on a GPU is not tested here"),
]


def test_images_and_labels_live_on_the_device(quiet):
    examples = load_examples(tiny().data, 0, quiet)
    batch = next(BatchLoader(examples, "train", 32, "crop-flip", 0, torch.device("cuda")).epoch(1))
    assert {part.device.type for part in batch} == {"cuda"}
    assert batch.images.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_first_loss_is_the_cpus(quiet, precision):
    losses = {}
    for device in ("cpu", "cuda"):
        recipe = tiny(train__precision=precision)
        examples = load_examples(recipe.data, 0, quiet)
        networks = [create("cifar:resnet8", 10, seed).to(device) for seed in (0, 1)]
        parts = (TrainingSettings.of(recipe), examples, *networks, 0, torch.device(device))
        strategy, feed = build_training(*parts)
        losses[device] = strategy.step(next(feed.epoch(1)))["loss"]
    assert losses["cuda"] == pytest.approx(losses["cpu"], rel=0.05)


def test_the_main_job_runs_on_the_device(tmp_path, quiet):
    report = distill_and_export(tiny(device="cuda", train__precision="bf16"), tmp_path / "run", quiet)
    assert [entry["artefact"] for entry in report["artefacts"]][-2:] == ["ort-cpu-int8", "null"]


@pytest.mark.parametrize(("strategy", "loss"), sorted(itertools.product(STRATEGIES, LOSSES)))
def test_every_pair_takes_a_finite_step(quiet, strategy, loss):
    changes = {"strategy__name": strategy, "loss__name": loss, "train__augment": "flip"}
    recipe = tiny(device="cuda", **changes)
    examples = load_examples(recipe.data, 0, quiet)
    networks = [create("cifar:resnet8", 10, seed).to("cuda") for seed in (0, 1)]
    settings = TrainingSettings(recipe.train, recipe.loss, recipe.strategy.without_warmup())
    made, feed = build_training(settings, examples, *networks, 0, torch.device("cuda"))
    made.start_epoch(2)
    made.context.student.train()
    values = made.step(next(feed.epoch(1)))
    assert all(value == value and abs(value) < 1e6 for value in values.values())


def test_what_a_teacher_said_is_remembered_bit_for_bit(quiet):
    said = []
    for augment in ("none", "flip"):
        recipe = tiny(device="cuda", train__augment=augment, loss__name="ckd")
        examples = load_examples(recipe.data, 0, quiet)
        networks = [create("cifar:resnet8", 10, seed).to("cuda") for seed in (0, 1)]
        made, _ = build_training(TrainingSettings.of(recipe), examples, *networks, 0, torch.device("cuda"))
        plain = BatchLoader(examples, "train", recipe.train.batch_size, "none", 0, torch.device("cuda"))
        said.append([made.teacher_output(batch) for batch in plain.epoch(1)])
    for cached, live in zip(*said, strict=True):
        assert torch.equal(cached.logits, live.logits)
        assert torch.equal(cached.features, live.features)


def test_angles_of_a_large_batch_stay_within_300_mib():
    student = torch.randn(256, 1280, device="cuda", requires_grad=True)
    teacher = torch.randn(256, 1280, device="cuda")
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    angle_loss(student, teacher).backward()
    assert torch.cuda.max_memory_allocated() - before < 300 * 2**20
