"""Optimizers, the learning rate over the steps of a training, and gradients accumulated over batches."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from edgefair.recipe import TrainSettings


def schedule(done: int, steps: int, train: TrainSettings) -> float:
    """Share of the peak learning rate for the step after `done` of `steps`: warm-up, then the recipe's shape.

    Linear over the first `warmup` of the steps; then cosine to zero (Loshchilov and Hutter, "SGDR", ICLR 2017, without
    restarts), a factor for every milestone that is passed, or 1.
    """
    warmup = max(1, int(steps * train.warmup)) if train.warmup else 0
    if done < warmup:
        return (done + 1) / warmup
    if train.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * (done - warmup) / max(1, steps - warmup)))
    if train.schedule == "step":
        return train.step_factor ** sum(done >= share * steps for share in train.milestones)
    return 1.0


def make_optimizer(modules: Iterable[nn.Module], train: TrainSettings) -> torch.optim.Optimizer:
    """SGD or AdamW over all parameters; biases and normalisation (one dimension) are not decayed."""
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": train.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if train.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=train.lr)
    return torch.optim.SGD(groups, lr=train.lr, momentum=0.9, nesterov=True)


class Accumulator:
    """Means of gradients over the batches that make one step; the last step of an epoch may have fewer."""

    def __init__(self, window: int, epoch_steps: int):
        self.window, self.epoch_steps = window, epoch_steps
        self.sums: list[Tensor | None] = []

    def complete(self, done: int, optimizers: Iterable[torch.optim.Optimizer]) -> bool:
        """Take in the gradients of batch `done`; where it is the last of its step, put their means in their place."""
        if self.window == 1:
            return True
        at = done % self.epoch_steps
        first, last = at % self.window == 0, at % self.window == self.window - 1 or at == self.epoch_steps - 1
        parameters = [p for each in optimizers for group in each.param_groups for p in group["params"]]
        before = [None] * len(parameters) if first else self.sums
        self.sums = [_added(p.grad, total) for p, total in zip(parameters, before, strict=True)]
        if last:
            for parameter, total in zip(parameters, self.sums, strict=True):
                parameter.grad = None if total is None else total / (at % self.window + 1)
            self.sums = []
        return last


def _added(gradient: Tensor | None, total: Tensor | None) -> Tensor | None:
    if gradient is None or total is None:
        return total if gradient is None else gradient
    return total + gradient
