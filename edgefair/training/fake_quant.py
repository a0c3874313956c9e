"""Quantisation inside a PyTorch network: it computes with rounded weights and inputs, and its gradients pass straight.

Bengio, Leonard, Courville, "Estimating or propagating gradients through stochastic neurons" (2013), for the
straight-through estimator; Jacob et al., "Quantization and training of neural networks" (CVPR 2018), for training
under quantisation.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from edgefair.models import Classifier

UNSIGNED = ("ort-cpu",)  # dialects whose activations are uint8 with a zero point; the others' are int8, symmetric
LARGEST = 127


def rounded(x: Tensor, scale: Tensor, zero_point: Tensor, low: int, high: int) -> Tensor:
    """DequantizeLinear(QuantizeLinear(x)): (clamp(round(x / scale) + zero_point, low, high) - zero_point) * scale.

    Rounds half to even, as ONNX does. The gradient in x is 1 everywhere, also where x is clamped, in reverse and
    forward mode: the rounding error is a constant to both.
    """
    exact = (torch.clamp(torch.round(x / scale) + zero_point, low, high) - zero_point) * scale
    return x + (exact - x).detach()


class FakeWeight(nn.Module):
    """int8, symmetric, per output channel: scale_c = max |w_c| / 127, of the weights as they are at each step.

    The batch normalisation behind a convolution, which an export folds into the weights, multiplies whole output
    channels; such a factor leaves the rounding as it is. So the fold need not be done here.
    """

    def forward(self, weight: Tensor) -> Tensor:
        largest = weight.detach().abs().amax(dim=tuple(range(1, weight.ndim)), keepdim=True)
        scale = torch.where(largest > 0, largest / LARGEST, torch.ones_like(largest))
        return rounded(weight, scale, torch.zeros_like(scale), -LARGEST, LARGEST)


class FakeInput(nn.Module):
    """Eight bits per tensor for the range low .. high: uint8 with a zero point, or int8 symmetric."""

    def __init__(self, low: float, high: float, unsigned: bool):
        super().__init__()
        low, high = min(low, 0.0), max(high, 0.0)
        scale = ((high - low) / 255 if unsigned else max(-low, high) / LARGEST) or 1.0
        self.limits = (0, 255) if unsigned else (-LARGEST - 1, LARGEST)
        self.register_buffer("scale", torch.tensor(scale))
        self.register_buffer("zero_point", torch.tensor(float(round(-low / scale)) if unsigned else 0.0))

    def forward(self, x: Tensor) -> Tensor:
        return rounded(x, self.scale.to(x.dtype), self.zero_point.to(x.dtype), *self.limits)


def install(model: Classifier, images: Tensor, dialect: str) -> None:
    """Let every convolution and linear layer compute with eight-bit weights and inputs, as the dialect writes them.

    images: uint8 [N, 3, S, S], the calibration rows, whose smallest and largest values set the inputs' ranges; they
    stay fixed, as they do in the file. Parameters keep their values.
    """
    for module, (low, high) in _input_ranges(model, images).items():
        module.fake_input = FakeInput(low, high, dialect in UNSIGNED).to(module.weight.device)
        module.fake_hook = module.register_forward_pre_hook(_round_input)
        parametrize.register_parametrization(module, "weight", FakeWeight())


def remove(model: Classifier) -> None:
    """Undo `install`: the network computes with its plain weights again."""
    for module in [m for m in model.modules() if hasattr(m, "fake_input")]:
        module.fake_hook.remove()
        del module.fake_hook, module.fake_input
        parametrize.remove_parametrizations(module, "weight", leave_parametrized=False)


def _round_input(module: nn.Module, inputs: tuple) -> tuple:
    return (module.fake_input(inputs[0]), *inputs[1:])


@torch.no_grad()
def _input_ranges(model: Classifier, images: Tensor) -> dict[nn.Module, tuple[float, float]]:
    """Smallest and largest value that each layer reads, in eval mode; layers that read nothing are left out."""
    found: dict[nn.Module, tuple[float, float]] = {}

    def look(module: nn.Module, inputs: tuple) -> None:
        low, high = found.get(module, (0.0, 0.0))
        found[module] = min(low, float(inputs[0].min())), max(high, float(inputs[0].max()))

    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    hooks = [module.register_forward_pre_hook(look) for module in layers]
    model.eval()
    for part in images.split(64):
        model(part)
    for hook in hooks:
        hook.remove()
    return found
