"""Gradient reversal: Ganin et al., "Domain-adversarial training of neural networks" (JMLR 2016)."""

import torch
from torch import Tensor


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, lam: float) -> Tensor:
        ctx.lam = lam
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        return -ctx.lam * gradient, None


def reverse_gradient(x: Tensor, lam: float) -> Tensor:
    """The identity forwards, -lam * gradient backwards."""
    return _Reverse.apply(x, lam)
