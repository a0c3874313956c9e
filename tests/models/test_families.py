"""Networks of every family: features that the head reads, maps that are maps, weights that come back, refusals."""

import pytest
import timm
import torch
from torch import nn
from torchvision.models import SwinTransformer, VisionTransformer

from edgefair.errors import ArtefactError, MissingExtra, RecipeError
from edgefair.models import ALIASES, Classifier, create, save_weights, seeded
from edgefair.models.timm_backbone import TimmBackbone
from edgefair.models.torchvision_backbone import TorchvisionBackbone

IMAGES = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def check(model: Classifier, images=IMAGES, stages: int | None = 4) -> None:
    """Taps change neither logits nor features, in train mode either; logits are timm's own; maps are maps."""
    heads = [m for h in model.backbone.heads() for m in h.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    for head in heads:
        nn.init.normal_(head.weight)
    for training in (False, True):
        model.train(training)
        outputs = []
        for model.tap_maps in (False, True):
            with seeded(1), torch.no_grad():
                outputs.append(model(images))
        plain, tapped = outputs
        torch.testing.assert_close(plain.logits, tapped.logits)
        torch.testing.assert_close(plain.features, tapped.features)
        assert plain.features.ndim == 2
    if stages:
        assert len(tapped.maps) == len(model.map_names) == stages
        assert all(part.ndim == 4 and part.shape[0] == len(images) for part in tapped.maps)
        sides = [part.shape[-1] for part in tapped.maps]
        assert sides == sorted(sides, reverse=True)
    with torch.no_grad():
        model.eval()
        if isinstance(model.backbone, TimmBackbone):
            own = model.backbone.network(images * model.scale + model.shift)
            torch.testing.assert_close(model(images).logits, own)


@pytest.mark.parametrize(
    ("name", "settings", "stages"),
    [
        ("deit_tiny_distilled_patch16_224", {"img_size": 64, "depth": 4}, 4),  # a head for each of two tokens
        ("dla46_c", {}, 4),  # a convolution as head
        ("levit_128s", {"img_size": 64}, 3),  # two heads with normalisation on one feature
        ("crossvit_tiny_240", {"img_size": 64, "img_scale": (1.0, 0.5), "patch_size": (16, 16)}, None),
        ("efficientvit_m0", {"img_size": 64}, 3),  # normalisation inside its head
        (
            "swin_tiny_patch4_window7_224",
            {"img_size": 64, "depths": (1, 1, 1, 1), "embed_dim": 24},
            4,
        ),  # maps with channels last
        ("mambaout_femto", {}, 4),  # a hidden layer in its head
        ("resnet50_clip", {"img_size": 64}, 4),  # attention instead of a mean
        ("vit_base_patch32_clip_quickgelu_224", {"img_size": 64, "depth": 4, "embed_dim": 32, "num_heads": 2}, 4),
    ],
)
@pytest.mark.slow
def test_timm(name, settings, stages):
    with seeded(0):
        network = timm.create_model(name, num_classes=5, **settings)
        check(Classifier(TimmBackbone(network, 64), f"timm:{name}"), stages=stages)


def test_what_stands_in_a_head_before_its_linear_layer_is_not_left_out():
    with seeded(0):
        network = timm.create_model("efficientvit_m0", num_classes=5, img_size=64)
        nn.init.constant_(network.head.bn.running_mean if hasattr(network.head, "bn") else network.head.norm.bias, 3.0)
        model = Classifier(TimmBackbone(network, 64), "timm:efficientvit_m0").eval()
    with torch.no_grad():
        torch.testing.assert_close(model(IMAGES).logits, network(IMAGES * model.scale + model.shift))


@pytest.mark.parametrize("spec", ["shufflenet_v2", "torchvision:mobilenet_v3_small"])
def test_torchvision(spec, tmp_path):
    model = create(spec, 5, 0, image_size=64)
    check(model)
    assert model.spec == ALIASES.get(spec, spec)
    save_weights(model, tmp_path / "weights.safetensors", 5)
    again = create(f"file:{tmp_path / 'weights.safetensors'}", 5, 1).eval()
    with torch.no_grad():
        assert torch.equal(again(IMAGES).logits, model.eval()(IMAGES).logits)


@pytest.mark.parametrize(
    "network",
    [
        lambda: VisionTransformer(64, 16, 4, 2, 16, 32, num_classes=5),
        lambda: SwinTransformer([4, 4], 8, [1, 1, 1, 1], [1, 1, 2, 2], [2, 2], num_classes=5),
    ],
    ids=["vit", "swin"],
)
def test_transformers_of_torchvision(network):
    with seeded(0):
        check(Classifier(TorchvisionBackbone(network(), "tiny", 64), "torchvision:tiny"))


def test_a_map_of_a_transformer_is_its_tokens_on_their_grid():
    with seeded(0):
        model = Classifier(TorchvisionBackbone(VisionTransformer(64, 16, 2, 2, 16, 32, num_classes=5), "vit", 64), "x")
    seen = []
    model.backbone.network.encoder.layers[-1].register_forward_hook(lambda _, __, output: seen.append(output))
    last = model.eval()(IMAGES).maps[-1]
    assert last.shape == (3, 16, 4, 4)
    assert torch.equal(last[1, :, 2, 3], seen[0][1, 1 + 2 * 4 + 3])  # the class token stands first


@pytest.mark.parametrize(
    ("spec", "side", "error", "words"),
    [
        ("timm:volo_d1_224", 64, RecipeError, "not a linear function of its penultimate features"),
        ("torchvision:squeezenet1_1", 64, RecipeError, "do not come from one linear layer"),
        ("torchvision:resnet19", 64, RecipeError, "did you mean 'resnet"),
        ("timm:efficientformer_l1", 64, RecipeError, "cannot take images of 64 px.*data.image_size"),
        ("torchvision:inception_v3", 32, RecipeError, "cannot take images of 32 px"),
        ("onnx:nowhere.onnx", 64, ArtefactError, "cannot read the ONNX teacher nowhere.onnx"),
    ],
)
def test_what_does_not_fit_is_refused(spec, side, error, words):
    with pytest.raises(error, match=words):
        create(spec, 5, 0, image_size=side)


def test_a_network_built_for_one_size_is_built_for_the_datas(tmp_path):
    model = create("timm:vit_tiny_patch16_224", 5, 0, image_size=32).eval()
    images = IMAGES[:, :, :32, :32]
    assert model(images).features.shape == (3, 192)
    save_weights(model, tmp_path / "vit.safetensors", 5)
    again = create(f"file:{tmp_path / 'vit.safetensors'}", 5, 0).eval()  # it knows its size
    with pytest.raises(RecipeError, match=r"cannot take images of 64 px.*the side that it was trained on"):
        create(f"file:{tmp_path / 'vit.safetensors'}", 5, 0, image_size=64)
    assert torch.equal(again(images).logits, model(images).logits)


def test_papers_names_lead_to_their_networks():
    assert timm.get_pretrained_cfg(ALIASES["clip:resnet50"].removeprefix("timm:")).hf_hub_id
    assert timm.get_pretrained_cfg(ALIASES["clip:vit_b_32"].removeprefix("timm:")).hf_hub_id
    assert "quickgelu" in ALIASES["clip:vit_b_32"]


def test_a_frozen_backbone_keeps_weights_and_statistics():
    model = create("timm:resnet10t", 5, 0, image_size=64)
    model.freeze()
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model(IMAGES).logits.logsumexp(1).sum().backward()
    optimizer.step()
    changed = [name for name, value in model.state_dict().items() if not torch.equal(value, before[name])]
    assert changed == ["backbone.network.fc.weight", "backbone.network.fc.bias"]
    assert not model.backbone.network.bn1.training


@pytest.mark.slow
def test_flava_tiny_takes_other_sizes_and_comes_back(tmp_path):
    transformers = pytest.importorskip("transformers")
    from edgefair.models.flava import FlavaBackbone

    config = transformers.FlavaImageConfig(
        hidden_size=16, num_hidden_layers=5, num_attention_heads=2, intermediate_size=32, image_size=32, patch_size=16
    )
    with seeded(0):
        encoder = transformers.FlavaImageModel(config, add_pooling_layer=False)
        model = Classifier(FlavaBackbone(encoder, 5), "flava:tiny")
    check(model)
    assert model.map_names[-1] == "encoder.encoder.layer.4"
    model.tap_maps = True
    output = model.eval()(IMAGES)
    hidden = encoder(IMAGES * model.scale + model.shift, output_hidden_states=True, interpolate_pos_encoding=True)
    assert torch.equal(output.features, hidden.last_hidden_state[:, 0])
    assert torch.equal(output.maps[-1][0, :, 1, 2], hidden.hidden_states[-1][0, 1 + 4 + 2])
    save_weights(model, tmp_path / "flava.safetensors", 5)
    again = create(f"file:{tmp_path / 'flava.safetensors'}", 5, 0).eval()
    assert torch.equal(again(IMAGES).logits, output.logits)
    encoder.save_pretrained(tmp_path / "folder")
    loaded = create(f"flava:{tmp_path / 'folder'}", 5, 0, pretrained=True, image_size=64)
    assert torch.equal(loaded.backbone.encoder.embeddings.cls_token, encoder.embeddings.cls_token)


@pytest.mark.slow
def test_flava_without_its_weights_or_library_says_what_to_do(tmp_path, monkeypatch):
    pytest.importorskip("transformers")
    with pytest.raises(ArtefactError, match=r"Offline its folder must be there.*config.json and model.safetensors"):
        create(f"flava:{tmp_path}", 5, 0, pretrained=True)
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r"edgefair\[flava\]"):
        create("flava", 5, 0)
