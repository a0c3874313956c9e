"""Teachers and students: `cifar:resnetN`, `timm:NAME` or `file:PATH.safetensors`, all mapping uint8 images to Output.

Scaling and normalisation are the first layer, so the exported graph takes uint8 NCHW and returns logits.
"""

import contextlib
import difflib
import json
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from edgefair.errors import ArtefactError, RecipeError, nearest
from edgefair.files import write_bytes
from edgefair.networks import TimmBackbone, cifar_resnet
from edgefair.tensors import Output

HALF = ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))  # mean and standard deviation where the network prescribes none


class Classifier(nn.Module):
    """A backbone behind its normalisation: uint8 images [B, 3, H, W] -> Output; `spec` says what it is.

    Set `tap_maps` to get the maps of all stages (up to the last four of a timm network); otherwise a timm network gives
    what costs nothing: its last map alone. Logits and features are the same either way.
    """

    def __init__(self, backbone: nn.Module, spec: str, mean=HALF[0], std=HALF[1]):
        super().__init__()
        self.backbone = backbone
        self.spec = spec
        self.tap_maps = False
        mean, std = torch.tensor(mean).view(1, 3, 1, 1), torch.tensor(std).view(1, 3, 1, 1)
        self.register_buffer("scale", 1 / (255 * std))
        self.register_buffer("shift", -mean / std)

    def forward(self, images: Tensor) -> Output:
        return self.backbone(images.to(self.scale.dtype) * self.scale + self.shift, self.tap_maps)

    @property
    def map_names(self) -> tuple[str, ...]:
        """Where each of the output's maps comes from: paths of modules below the network, such as `layer2`."""
        return self.backbone.map_names(self.tap_maps)


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
    network = cifar_resnet(name, num_classes)
    if pretrained:
        raise RecipeError(
            f"'cifar:{name}' has no published weights; set pretrained = false or name a file: or timm: network."
        )
    return Classifier(network, f"cifar:{name}")


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
