"""Networks: specs, shapes and what is refused."""

import pytest
import torch

from edgefair.errors import RecipeError
from edgefair.models import create

IMAGES = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("spec", "width"),
    [
        ("cifar:resnet8", 64),
        ("cifar:resnet20", 64),
        ("timm:resnet10t", 512),
        ("timm:efficientnet_b0", 1280),
        ("timm:lcnet_050", 1280),
    ],
)
def test_outputs_have_the_promised_shapes(spec, width):
    model = create(spec, 7, 0).eval()
    output = model(IMAGES)
    assert output.logits.shape == (2, 7)
    assert output.features.shape == (2, width)
    assert all(part.ndim == 4 for part in output.maps)
    assert model.spec == spec


def test_the_seed_decides_the_weights_and_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    a, b, c = (create("cifar:resnet8", 3, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(a.backbone.head.weight, b.backbone.head.weight)
    assert not torch.equal(a.backbone.head.weight, c.backbone.head.weight)


def test_normalisation_is_inside():
    model = create("timm:resnet10t", 3, 0)
    black = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    seen = black * model.scale + model.shift
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(seen[0, :, 0, 0], -mean / std)


def test_cifar_resnets_have_the_papers_sizes():
    parameters = sum(p.numel() for p in create("cifar:resnet20", 10, 0).parameters())
    assert parameters == pytest.approx(0.27e6, rel=0.02)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("cifer:resnet20", "did you mean 'cifar'"),
        ("cifar:resnet21", "cifar:resnet8, 14, 20"),
        ("resnet20", "FAMILY:NAME, such as timm:resnet18, or one of shufflenet_v2"),
        ("nope", "FAMILY:NAME, such as timm:resnet18, or one of shufflenet_v2"),
        ("timm:", "Examples: cifar:resnet8"),
        ("timm:resnet18x", "some of timm's: .*resnet18"),
        ("timm:qqqqq", "unknown network 'timm:qqqqq'; timm has none of a similar name; one is resnet18"),
    ],
)
def test_unknown_networks_are_refused(spec, words):
    with pytest.raises(RecipeError, match=words):
        create(spec, 3, 0)


def test_published_weights_of_a_cifar_network_do_not_exist():
    with pytest.raises(RecipeError, match="no published weights"):
        create("cifar:resnet8", 3, 0, pretrained=True)


def test_published_weights_that_cannot_be_had_are_explained(monkeypatch):
    import timm

    from edgefair.errors import ArtefactError

    def offline(*_, **__):
        raise ConnectionError("no network")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(
        ArtefactError, match=r"'timm:resnet10t' cannot be loaded \(ConnectionError: no network\).*file:"
    ):
        create("timm:resnet10t", 3, 0, pretrained=True)
