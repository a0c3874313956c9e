"""Random changes of a batch: each image its own, the same for the same seed, and torchvision's adjustments."""

import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from edgefair.recipe import parse
from edgefair.training.augment import JITTER, augmented, jittered, recoloured


@pytest.fixture
def batch():
    return torch.randint(0, 256, (6, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def seeded(seed=1):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("how", ["none", "flip", "crop-flip", "crop-flip-jitter"])
def test_a_recipe_can_ask_for_every_change_and_seeds_decide_it(batch, how):
    assert parse({"train": {"augment": how}}).train.augment == how
    first = augmented(batch, how, seeded())
    assert first.dtype == torch.uint8
    assert first.shape == batch.shape
    assert torch.equal(first, augmented(batch, how, seeded()))
    assert torch.equal(first, batch) == (how == "none")


def test_colours_change_as_torchvision_changes_them(batch):
    factors = torch.tensor([0.6, 0.8, 1.0, 1.1, 1.3, 1.4])
    ones = torch.ones(6, 1, 1, 1)
    for place, adjust in enumerate(
        (reference.adjust_brightness, reference.adjust_contrast, reference.adjust_saturation)
    ):
        given = [ones, ones, ones]
        given[place] = factors[:, None, None, None]
        ours = recoloured(batch.float(), *given)
        theirs = torch.stack(
            [adjust(image / 255, factor.item()) * 255 for image, factor in zip(batch, factors, strict=True)]
        )
        torch.testing.assert_close(ours, theirs, atol=0.01, rtol=1e-4)


def test_every_image_gets_its_own_colours(batch):
    same = batch[:1].expand(6, -1, -1, -1).contiguous()
    changed = jittered(same, seeded())
    assert len({image.sum().item() for image in changed}) == 6
    grey = torch.full((400, 3, 4, 4), 100, dtype=torch.uint8)
    brightness = jittered(grey, seeded()).float().mean((1, 2, 3)) / 100  # only brightness moves a grey image
    assert 1 - JITTER - 0.01 <= brightness.min() < 1 - 0.8 * JITTER
    assert 1 + 0.8 * JITTER < brightness.max() <= 1 + JITTER + 0.01
