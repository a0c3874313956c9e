"""The last linear layer of every family: read, set, given a bias, and stored with it."""

import pytest
import torch
from torch import nn

from edgefair.errors import RecipeError
from edgefair.models import create, save_weights
from edgefair.models.last_layer import LastLayer
from edgefair.training.fake_quant import install, remove

IMAGES = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
NETWORKS = [
    "cifar:resnet8",
    "timm:lcnet_050",  # a linear layer
    pytest.param("timm:tf_efficientnet_lite0", marks=pytest.mark.slow),
    pytest.param("timm:test_vit", marks=pytest.mark.slow),
    pytest.param("torchvision:mobilenet_v3_small", marks=pytest.mark.slow),
    pytest.param("timm:levit_128s", marks=pytest.mark.slow),  # two heads with a normalisation before each
]


@pytest.mark.parametrize("spec", NETWORKS)
def test_new_values_give_the_logits_that_the_features_say(spec):
    images = IMAGES if "vit" not in spec else torch.nn.functional.interpolate(IMAGES, 224 if "levit" in spec else 160)
    model = create(spec, 4, 0, image_size=images.shape[-1]).eval()
    layer = LastLayer(model)
    features = layer.features([images[:2], images[2:]]).double()
    with torch.no_grad():
        torch.testing.assert_close(
            (features @ layer.weight.T + layer.bias).float(), model(images).logits, atol=1e-4, rtol=1e-3
        )
        weight = torch.linspace(-1, 1, layer.weight.numel(), dtype=torch.float64).view_as(layer.weight)
        bias = torch.arange(4.0, dtype=torch.float64)
        layer.set(weight, bias)
        expected = (features @ weight.T + bias).float()
        torch.testing.assert_close(model(images).logits, expected, atol=1e-3, rtol=1e-3)


def test_a_layer_without_a_bias_gets_one_that_its_file_keeps(tmp_path):
    model = create("cifar:resnet8", 4, 0)
    model.backbone.head = nn.Linear(64, 4, bias=False)
    layer = LastLayer(model)
    assert not layer.bias.any()
    layer.set(layer.weight, torch.arange(4.0))
    assert type(model.backbone).options == {}  # that of the class is not touched
    # A family whose heads have no bias builds its networks without: the file says that there is one.
    from edgefair.models import cifar_resnet, factory

    make = cifar_resnet.make

    def without_bias(spec):
        backbone, *scale = make(spec)
        backbone.head = nn.Linear(64, 4, bias=False)
        return backbone, *scale

    save_weights(model, tmp_path / "a.safetensors", 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cifar_resnet, "make", without_bias)
        again = factory.create(f"file:{tmp_path / 'a.safetensors'}", 4, 0)
    assert again.backbone.head.bias.tolist() == [0, 1, 2, 3]


def test_a_layer_under_fake_quantisation_is_set_beneath_it():
    model = create("cifar:resnet8", 4, 0)
    install(model, IMAGES, "ort-cpu")
    layer = LastLayer(model)
    layer.features([IMAGES])
    weight = torch.full((4, 64), 0.125, dtype=torch.float64)
    layer.set(weight, torch.zeros(4))
    torch.testing.assert_close(layer.weight, weight)
    remove(model)
    torch.testing.assert_close(model.backbone.head.weight, weight.float())


def test_what_has_no_last_linear_layer_is_refused(monkeypatch):
    model = create("cifar:resnet8", 4, 0)
    monkeypatch.setattr(type(model.backbone), "heads", lambda self: ())
    with pytest.raises(RecipeError, match="no last linear layer"):
        LastLayer(model)


def test_logits_that_are_not_linear_in_the_features_are_refused():
    model = create("cifar:resnet8", 4, 0)
    model.backbone.register_forward_hook(lambda _, __, output: output._replace(logits=output.logits.square() + 1))
    with pytest.raises(RecipeError, match="not a linear function of what its last layer reads"):
        LastLayer(model).features([IMAGES])
