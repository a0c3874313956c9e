"""On a CUDA device: training runs there, with its data, in bf16, and teaches what the CPU teaches."""

import pytest
import torch

from edgefair.data import load_examples
from edgefair.data.feed import Feed
from edgefair.distill import assemble
from edgefair.models import create
from edgefair.pipeline import distill_and_export

from .conftest import tiny

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device: training on a GPU is not tested here"),
]


def test_images_and_labels_live_on_the_device(quiet):
    examples = load_examples(tiny().data, 0, quiet)
    batch = next(Feed(examples, "train", 32, "crop-flip", 0, torch.device("cuda")).epoch(1))
    assert {part.device.type for part in batch} == {"cuda"}
    assert batch.images.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_first_loss_is_the_cpus(quiet, precision):
    losses = {}
    for device in ("cpu", "cuda"):
        recipe = tiny(train__precision=precision)
        examples = load_examples(recipe.data, 0, quiet)
        networks = [create("cifar:resnet8", 10, seed).to(device) for seed in (0, 1)]
        parts = (recipe.train, recipe.loss, recipe.strategy, examples, *networks, 0, torch.device(device))
        strategy, feed = assemble(*parts)
        losses[device] = strategy.step(next(feed.epoch(1)))["loss"]
    assert losses["cuda"] == pytest.approx(losses["cpu"], rel=0.05)


def test_the_main_job_runs_on_the_device(tmp_path, quiet):
    report = distill_and_export(tiny(device="cuda", train__precision="bf16"), tmp_path / "run", quiet)
    assert [entry["artefact"] for entry in report["artefacts"]][-2:] == ["ort-int8", "null"]
