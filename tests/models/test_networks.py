"""Stage maps: same logits with and without them, names that lead to them, gradients and forward mode through them."""

import pytest
import timm
import torch
from torch.func import functional_call, jvp

from edgefair.errors import RecipeError
from edgefair.models import Classifier, create, seeded
from edgefair.models.timm_backbone import TimmBackbone

IMAGES = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
FAMILIES = {
    "resnet18": {"drop_rate": 0.2},
    "efficientnet_b0": {"drop_path_rate": 0.2},
    "mobilenetv3_small_050": {},
    "mobilenetv4_conv_small_050": {},
    "convnext_atto": {"drop_path_rate": 0.2},
    "vit_tiny_patch16_224": {"img_size": 64, "depth": 5},
    "regnetx_002": {},
    "lcnet_050": {},
    "ghostnetv2_100": {},
    "tf_efficientnet_lite0": {},
    "swin_tiny_patch4_window7_224": {"img_size": 64, "window_size": 2, "depths": (1, 1, 1, 1)},
    "repghostnet_050": {},
}


def classifier(name: str) -> Classifier:
    with seeded(0):
        network = timm.create_model(name, num_classes=5, **FAMILIES[name])
        return Classifier(TimmBackbone(network, FAMILIES[name].get("img_size", 0)), f"timm:{name}")


def called(model: Classifier, tap: bool, images=IMAGES):
    """The model's output with the same random draws each time."""
    model.tap_maps = tap
    with seeded(1):
        return model(images)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.slow
def test_taps_change_nothing_but_the_maps_and_are_where_their_names_say(name):
    twin, model = classifier(name), classifier(name)
    for part in (twin, model):
        part.eval()
    with torch.no_grad():
        plain, tapped = called(twin, False), called(model, True)
    assert torch.equal(plain.logits, tapped.logits)
    assert torch.equal(plain.logits, twin.backbone.network(IMAGES * twin.scale + twin.shift))
    assert torch.equal(plain.features, tapped.features)
    assert plain.maps is None or len(plain.maps) == len(twin.map_names) == 1

    seen = {}
    for path in model.map_names:
        model.backbone.network.get_submodule(path).register_forward_hook(
            lambda _, __, output, path=path: seen.update({path: output.detach().clone()})
        )
    plain, tapped = called(twin.train(), False), called(model.train(), True)
    assert torch.equal(plain.logits, tapped.logits)
    assert torch.equal(plain.features, tapped.features)
    for before, after in zip(twin.buffers(), model.buffers(), strict=True):
        assert torch.equal(before, after)
    assert len(tapped.maps) == len(model.map_names) == 4
    for path, part in zip(model.map_names, tapped.maps, strict=True):
        assert part.ndim == 4
        assert sorted(part.flatten().tolist()) == sorted(_grid(seen[path], part).flatten().tolist())
        assert torch.autograd.grad(part.sum(), model.parameters(), retain_graph=True, allow_unused=True)[0].any()


def _grid(output: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
    """What a module returned, without the class token in front where its rows are tokens [B, 1 + HW, K]."""
    return output[:, -part[0, 0].numel() :] if output.ndim == 3 else output


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("name", ["resnet18", "efficientnet_b0", "mobilenetv3_small_050", "convnext_atto", "lcnet_050"])
@pytest.mark.slow
def test_forward_mode_through_the_taps_agrees_with_reverse_mode(name, mode):
    """<J v, w> = <v, J^T w> for every output: zero-initialised blocks sit on ReLU's corner, where differences fail."""
    model = classifier(name).double().train(mode == "train")
    model.tap_maps = True
    random = torch.Generator().manual_seed(0)
    weights = {key: value.detach().requires_grad_() for key, value in model.named_parameters()}
    along = {key: torch.randn(value.shape, generator=random, dtype=value.dtype) for key, value in weights.items()}

    def run(values):
        buffers = {key: value.clone() for key, value in model.named_buffers()}
        with seeded(2):
            output = functional_call(model, {**values, **buffers}, (IMAGES,))
        return (output.logits, output.features, *output.maps)

    outputs, moved = jvp(run, ({key: value.detach() for key, value in weights.items()},), (along,))
    assert len(outputs) == 6
    for value, derivative in zip(run(weights), moved, strict=True):
        chosen = torch.randn(value.shape, generator=random, dtype=value.dtype)
        pulled = torch.autograd.grad((value * chosen).sum(), weights.values(), retain_graph=True, allow_unused=True)
        expected = sum((g * v).sum() for g, v in zip(pulled, along.values(), strict=True) if g is not None)
        torch.testing.assert_close((derivative * chosen).sum(), expected, rtol=1e-7, atol=1e-9)
        assert expected.abs() > 1e-6


def test_a_network_without_intermediates_gives_its_last_map():
    model = classifier("resnet18")
    model.backbone.stages = ()
    output = called(model.eval(), True)
    assert [tuple(part.shape) for part in output.maps] == [(4, 512, 2, 2)]
    assert model.map_names == ("forward_features",)


@pytest.mark.parametrize(
    ("spec", "parameters", "sides"),
    [
        ("cifar:resnet18", 11_173_962, (32, 16, 8, 4)),
        ("cifar:resnet34", 21_282_122, (32, 16, 8, 4)),
        ("cifar:resnet56", 855_770, (32, 16, 8)),
    ],
)
def test_resnets_for_small_images(spec, parameters, sides):
    model = create(spec, 10, 0).eval()
    assert sum(p.numel() for p in model.parameters()) == parameters
    output = model(IMAGES[:, :, :32, :32])
    assert tuple(part.shape[-1] for part in output.maps) == sides
    assert output.features.shape == (4, output.maps[-1].shape[1])
    assert model.map_names == tuple(f"stages.{k}" for k in range(len(sides)))
    assert all(model.backbone.get_submodule(path) is not None for path in model.map_names)


def test_unknown_depths_name_what_there_is():
    with pytest.raises(RecipeError, match=r"cifar:resnet8, 14, 20.*cifar:resnet18 and cifar:resnet34"):
        create("cifar:resnet19", 10, 0)
