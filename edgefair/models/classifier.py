"""A backbone with its head and normalisation, called with uint8 images."""

import torch
from torch import Tensor, nn

from edgefair.models.backbone import HALF, Backbone
from edgefair.tensors import Output


class Classifier(nn.Module):
    """A backbone behind its normalisation: uint8 images [B, 3, H, W] -> Output; `spec` says what it is.

    Set `tap_maps` to get the maps of all stages (up to the last four of a published network); otherwise a network gives
    what costs nothing: its last map alone. Logits and features are the same either way.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, backbone: Backbone, spec: str, mean=HALF[0], std=HALF[1]):
        super().__init__()
        self.backbone = backbone
        self.spec = spec
        self.tap_maps = False
        self.frozen = False
        mean, std = torch.tensor(mean).view(1, 3, 1, 1), torch.tensor(std).view(1, 3, 1, 1)
        self.register_buffer("scale", 1 / (255 * std))
        self.register_buffer("shift", -mean / std)

    def forward(self, images: Tensor) -> Output:
        return self.backbone(images.to(self.scale.dtype) * self.scale + self.shift, self.tap_maps)

    @property
    def map_names(self) -> tuple[str, ...]:
        """Where each of the output's maps comes from: paths of modules below the network, such as `layer2`."""
        return self.backbone.map_names(self.tap_maps)

    def freeze(self) -> None:
        """Leave everything but the last layer as it is, batch statistics and dropout included."""
        self.frozen = True
        self.requires_grad_(False)
        for head in self.backbone.heads():
            head.requires_grad_(True)
        self.train(self.training)

    def train(self, mode: bool = True) -> "Classifier":
        super().train(mode and not self.frozen)
        if self.frozen:
            for head in self.backbone.heads():
                head.train(mode)
        return self


class OnnxClassifier(Classifier):
    """An ONNX file as a teacher: it gets the bytes of the images, and scales them itself where it takes floats."""

    def forward(self, images: Tensor) -> Output:
        return self.backbone(images)
