"""Teachers and students: `cifar:resnetN`, `timm:NAME` or `file:PATH.safetensors`, all mapping uint8 images to Output.

Scaling and normalisation are the first layer, so the exported graph takes uint8 NCHW and returns logits.
"""

import contextlib
import difflib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from edgefair.errors import ArtefactError, RecipeError, nearest
from edgefair.files import write_bytes
from edgefair.tensors import Output

HALF = ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))  # mean and standard deviation where the network prescribes none


class Classifier(nn.Module):
    """A backbone behind its normalisation: uint8 images [B, 3, H, W] -> Output; `spec` says what it is."""

    def __init__(self, backbone: nn.Module, spec: str, mean=HALF[0], std=HALF[1]):
        super().__init__()
        self.backbone = backbone
        self.spec = spec
        mean, std = torch.tensor(mean).view(1, 3, 1, 1), torch.tensor(std).view(1, 3, 1, 1)
        self.register_buffer("scale", 1 / (255 * std))
        self.register_buffer("shift", -mean / std)

    def forward(self, images: Tensor) -> Output:
        return self.backbone(images.to(self.scale.dtype) * self.scale + self.shift)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut; a 1x1 convolution where the shape changes (option B of the paper)."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class CifarResNet(nn.Module):
    """ResNet for small images (He et al. 2016, section 4.2): depth 6n + 2, three stages of 16, 32, 64 channels.

    Depth 8 is the image classifier of MLPerf Tiny; depth 20 to 110 are the paper's.
    """

    def __init__(self, depth: int, num_classes: int):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.stages = nn.ModuleList()
        inputs = 16
        for outputs, stride in ((16, 1), (32, 2), (64, 2)):
            blocks = [
                BasicBlock(inputs if k == 0 else outputs, outputs, stride if k == 0 else 1)
                for k in range((depth - 2) // 6)
            ]
            self.stages.append(nn.Sequential(*blocks))
            inputs = outputs
        self.head = nn.Linear(inputs, num_classes)

    def forward(self, x: Tensor) -> Output:
        x = self.stem(x)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        features = x.mean((2, 3))  # [B, 64]
        return Output(self.head(features), features, tuple(maps))


class TimmBackbone(nn.Module):
    """Any timm classifier; features are what its last linear layer reads."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Output:
        last = self.network.forward_features(x)
        features = self.network.forward_head(last, pre_logits=True)  # [B, D]
        logits = self.network.get_classifier()(features)
        return Output(logits, features, (last,) if last.ndim == 4 else None)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw initial weights from `seed`; torch's global generator is as before afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def create(spec: str, num_classes: int, seed: int, pretrained: bool = False) -> Classifier:
    """Build the network that `spec` names, with weights drawn from `seed` where it brings none.

    Raises RecipeError for an unknown spec, ArtefactError for a weights file that is missing or does not fit.
    """
    kind, _, name = spec.partition(":")
    makers = {"cifar": _cifar, "timm": _timm, "file": _file}
    if kind not in makers or not name:
        raise RecipeError(
            f"unknown network '{spec}'; {nearest(kind, makers)} "
            "Examples: cifar:resnet8, timm:resnet18, file:teacher.safetensors."
        )
    with seeded(seed):
        return makers[kind](name, num_classes, pretrained)


def _cifar(name: str, num_classes: int, pretrained: bool) -> Classifier:
    match = re.fullmatch(r"resnet(\d+)", name)
    depth = int(match[1]) if match else 0
    if depth < 8 or (depth - 2) % 6:
        raise RecipeError(
            f"unknown network 'cifar:{name}'; allowed are cifar:resnet8, 14, 20, 32, 44, 56, 110 (6n + 2 layers)."
        )
    if pretrained:
        raise RecipeError(
            f"'cifar:{name}' has no published weights; set pretrained = false or name a file: or timm: network."
        )
    return Classifier(CifarResNet(depth, num_classes), f"cifar:{name}")


def _timm(name: str, num_classes: int, pretrained: bool) -> Classifier:
    import timm

    if not timm.is_model(name):
        raise RecipeError(
            f"unknown network 'timm:{name}'; some of timm's: "
            f"{', '.join(difflib.get_close_matches(name, timm.list_models(), n=6, cutoff=0.4)) or 'none is like it'}."
        )
    try:
        network = timm.create_model(name, num_classes=num_classes, pretrained=pretrained)
    except Exception as error:
        if not pretrained:
            raise
        raise ArtefactError(
            f"the published weights of 'timm:{name}' cannot be loaded ({type(error).__name__}: {error}). "
            "Connect to the network once so that timm can cache them, name a file: of weights, or set "
            "pretrained to false."
        ) from error
    given = network.pretrained_cfg
    return Classifier(TimmBackbone(network), f"timm:{name}", given.get("mean", HALF[0]), given.get("std", HALF[1]))


def _read_weights(path: Path) -> tuple[dict, dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as stored:
            about = json.loads((stored.metadata() or {}).get("edgefair", "{}"))
            weights = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118 (safe_open is no mapping)
    except (OSError, SafetensorError) as error:
        raise ArtefactError(f"cannot read the weights {path}: {error}") from error
    if "spec" not in about:
        raise ArtefactError(
            f"{path} does not say which network it belongs to; give a file that edgefair wrote (save_weights)."
        )
    return about, weights


def stored_classes(path: Path) -> int:
    """The number of classes of a weights file; raises ArtefactError where it cannot be read."""
    return _read_weights(path)[0]["num_classes"]


def _file(name: str, num_classes: int, pretrained: bool) -> Classifier:
    path = Path(name)
    about, weights = _read_weights(path)
    if about["num_classes"] != num_classes:
        raise ArtefactError(f"{path} holds a network for {about['num_classes']} classes; the data has {num_classes}.")
    model = create(about["spec"], num_classes, 0)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ArtefactError(f"the weights in {path} do not fit {about['spec']}: {error}") from error
    return model


def save_weights(model: Classifier, path: Path, num_classes: int) -> None:
    """Write the weights as safetensors with the network's spec, so that `file:PATH` can build it again."""
    about = json.dumps({"spec": model.spec, "num_classes": num_classes})
    tensors = {name: value.contiguous() for name, value in model.state_dict().items()}
    write_bytes(path, save(tensors, metadata={"edgefair": about}))
