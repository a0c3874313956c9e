"""The last linear layer of a network of any family: what it reads, its values, and new values for it."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from edgefair.errors import RecipeError
from edgefair.models.classifier import Classifier
from edgefair.tensors import to_fp32

HEAD_BIAS = "head_bias"  # among a backbone's options: its last layer was given a bias


class LastLayer:
    """The layer that makes a network's logits, features @ weight.T + bias; several whose mean is taken act as one.

    features [N, D] are what it reads; of K layers side by side, divided by K. Raises RecipeError for a network without
    such a layer, as an ONNX file is.
    """

    def __init__(self, model: Classifier):
        self.model = model
        found = [_linear(head) for head in model.backbone.heads()]
        self.layers = [layer for layer in found if layer is not None]
        if not self.layers or len(self.layers) != len(found):
            raise RecipeError(
                f"the network '{model.spec}' has no last linear layer that could be changed. Choose another network, "
                "or a strategy that acts while it is trained."
            )

    @torch.no_grad()
    def features(self, images: Iterable[Tensor]) -> Tensor:
        """What the layer reads for batches of uint8 images, in eval mode: [N, D] on the CPU.

        Raises RecipeError where the network's logits are not a linear function of it.
        """
        seen: list[Tensor] = []
        hooks = [layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0])) for layer in self.layers]
        self.model.eval()
        parts = []
        try:
            for batch in images:
                seen.clear()
                logits = self.model(batch).logits
                read = torch.cat([to_fp32(part.flatten(1)) for part in seen], dim=1) / len(self.layers)
                self._check(read, logits)
                parts.append(read.cpu())
        finally:
            for hook in hooks:
                hook.remove()
        return torch.cat(parts)

    def _check(self, features: Tensor, logits: Tensor) -> None:
        weight = torch.cat([layer.weight.flatten(1) for layer in self.layers], dim=1)
        if features.shape[1] == weight.shape[1]:
            found = features @ weight.T + self.bias.to(features)
            if torch.allclose(found, logits, rtol=1e-3, atol=1e-3 * max(1.0, float(logits.abs().max()))):
                return
        raise RecipeError(
            f"the logits of '{self.model.spec}' are not a linear function of what its last layer reads, so that layer "
            "cannot be fitted again. Choose another network, or a strategy that acts while it is trained."
        )

    @property
    def weight(self) -> Tensor:
        """Its weight [C, D], a copy on the CPU in double precision."""
        parts = [_weight(layer).detach().flatten(1) for layer in self.layers]
        return torch.cat(parts, dim=1).double().cpu()

    @property
    def bias(self) -> Tensor:
        """Its bias [C], as the weight; zeros where it has none."""
        found = [layer.bias for layer in self.layers if layer.bias is not None]
        none = torch.zeros(len(_weight(self.layers[0])), dtype=torch.float64)
        return sum((bias.detach().double().cpu() for bias in found), none) / len(self.layers)

    @torch.no_grad()
    def set(self, weight: Tensor, bias: Tensor) -> None:
        """Give it this weight [C, D] and bias [C]; a layer without a bias gets one, which its weights file keeps."""
        add_bias(self.model)
        sizes = [_weight(layer).flatten(1).shape[1] for layer in self.layers]
        for layer, part in zip(self.layers, weight.split(sizes, dim=1), strict=True):
            _weight(layer).copy_(part.reshape(_weight(layer).shape))
            assert layer.bias is not None  # it was given one
            layer.bias.copy_(bias)


def add_bias(model: Classifier) -> None:
    """Give the last layer a bias of zeros where it has none, and note it in the backbone's options."""
    for layer in [_linear(head) for head in model.backbone.heads()]:
        if layer is not None and layer.bias is None:
            zeros = torch.zeros(len(layer.weight), dtype=layer.weight.dtype, device=layer.weight.device)
            layer.bias = nn.Parameter(zeros, requires_grad=layer.weight.requires_grad)
            model.backbone.options = {**model.backbone.options, HEAD_BIAS: True}


def _linear(head: nn.Module) -> nn.Linear | nn.Conv2d | None:
    """The last linear layer, or convolution of one pixel, of a head."""
    found = [module for module in head.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    return found[-1] if found else None


def _weight(layer: Any) -> Tensor:
    """The parameter itself, where training under fake quantisation puts another tensor in its place."""
    weight: Tensor = layer.weight
    return layer.parametrizations.weight.original if parametrize.is_parametrized(layer, "weight") else weight
