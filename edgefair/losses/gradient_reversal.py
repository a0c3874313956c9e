"""Gradient reversal: Ganin et al., "Domain-adversarial training of neural networks" (JMLR 2016)."""

import torch
from torch import Tensor


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        return -ctx.strength * gradient, None


def reverse_gradient(x: Tensor, strength: float) -> Tensor:
    """The identity forwards, -strength * gradient backwards."""
    return _Reverse.apply(x, strength)
