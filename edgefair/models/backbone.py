"""Backbones: networks of every family, each giving logits, penultimate features and stage maps."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from edgefair.tensors import Output

HALF = ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))  # mean and standard deviation where the network prescribes none


class Backbone(nn.Module):
    """A network that is called with normalised images [B, 3, H, W] and says what its head reads.

    features [B, D] are what the last linear layer reads: logits = head(features). maps [B, K, H, W] are those of the
    stages, of a vision transformer its patch tokens laid out on their grid, class tokens left out. `options` is what
    building it again needs beside its name; `no_maps` says why it has no maps, where it has none.
    """

    options: dict = {}  # noqa: RUF012 (replaced, never changed)
    no_maps = ""

    def forward(self, x: Tensor, all_maps: bool = False) -> Output:
        """The output; with `all_maps` its maps are those of all stages (up to four), else what costs nothing."""
        raise NotImplementedError

    def map_names(self, all_maps: bool = False) -> tuple[str, ...]:
        """Where each map comes from: a path below the network, such as `layer2`."""
        raise NotImplementedError

    def heads(self) -> tuple[nn.Module, ...]:
        """The last linear layer, or layers: all that is trained where the backbone is frozen."""
        raise NotImplementedError


@dataclass(frozen=True)
class NetworkSpec:
    """What a network is built for: its name in its family, classes, image side (None: its own), published weights.

    `weights` is a local file of published weights, in place of the library's cache; `options` are those of a network
    that was built before.
    """

    name: str
    num_classes: int
    image_size: int | None = None
    pretrained: bool = False
    weights: str = ""
    options: dict = field(default_factory=dict)

    @property
    def side(self) -> int | None:
        """The side that it was built for before, or is to be built for now."""
        return self.options.get("image_size", self.image_size)


def imagenet(backbone: Backbone) -> tuple[Backbone, tuple, tuple]:
    """A backbone with the mean and standard deviation of ImageNet's channels, which most published weights expect."""
    return backbone, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


TOO_WIDE = 1.5  # times the standard deviation that torch.nn.Linear draws


@torch.no_grad()
def narrow_new_head(layers: Iterable[nn.Module]) -> None:
    """Scale new last layers that were drawn far too wide down to what torch.nn.Linear draws, U(-1, 1) / sqrt(inputs).

    EfficientNets and MobileNets of timm and torchvision draw theirs as U(-1, 1) / sqrt(classes), which is as much for
    1,000 classes; with three the first logits have a standard deviation of 3 to 7 and training begins with unlearning
    them. A layer that is not too wide is left as it is.
    """
    for layer in layers:
        weight = getattr(layer, "weight", None)
        if isinstance(weight, Tensor) and weight.ndim > 1:
            usual = (3 * weight[0].numel()) ** -0.5
            if (wide := float(weight.std()) / usual) > TOO_WIDE:
                weight /= wide
