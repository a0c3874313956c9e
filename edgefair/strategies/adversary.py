"""The adversary, and what it guesses: the group, or a continuous protected attribute."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgefair.tensors import Batch


class Adversary(nn.Module):
    """Guesses from z [B, D] with one hidden layer, and a head for every class if it is conditional, else one.

    With a head for each class it sees z and y, so that only what z tells of the group *within* a class is punished:
    equalised odds. Without, it punishes any dependence, even the one that comes from the labels: demographic parity.
    """

    def __init__(self, width: int, hidden: int, num_classes: int, outputs: int, conditional: bool):
        super().__init__()
        self.trunk = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, hidden), nn.ReLU())
        self.head = nn.Linear(hidden, (num_classes if conditional else 1) * outputs)
        self.outputs = outputs
        self.conditional = conditional

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        guesses = self.head(self.trunk(z)).unflatten(1, (-1, self.outputs))  # [B, C or 1, outputs]
        chosen = labels if self.conditional else torch.zeros_like(labels)
        return guesses[torch.arange(len(z), device=z.device), chosen]  # [B, outputs]


class ProtectedAttribute(NamedTuple):
    """What an adversary guesses: how many outputs, which rows are known, and two losses [K] of a guess [K, outputs]."""

    outputs: Callable[[int], int]
    values: Callable[[Batch], Tensor]
    known: Callable[[Tensor], Tensor]
    loss: Callable[[Tensor, Tensor], Tensor]  # how wrong the guess is
    confusion_loss: Callable[[Tensor], Tensor]  # how far it is from saying nothing
    description: str


def _soft_groups(batch: Batch) -> Tensor:
    assert batch.soft_groups is not None  # what asks for them is refused on data without
    return batch.soft_groups


def _share(guess: Tensor) -> Tensor:
    return torch.sigmoid(guess).squeeze(1)  # [K], in 0 .. 1 as the attribute is


PROTECTED_ATTRIBUTES = {
    "group": ProtectedAttribute(
        outputs=lambda num_groups: num_groups,
        values=lambda batch: batch.groups,
        known=lambda groups: groups >= 0,
        loss=lambda guess, groups: functional.cross_entropy(guess, groups, reduction="none"),
        confusion_loss=lambda guess: -functional.log_softmax(guess, dim=1).mean(dim=1),
        description="cross-entropy of an adversary that guesses the group",
    ),
    "soft_group": ProtectedAttribute(
        outputs=lambda _: 1,
        values=_soft_groups,
        known=lambda shares: ~torch.isnan(shares),
        loss=lambda guess, shares: (_share(guess) - shares).square(),
        confusion_loss=lambda guess: (_share(guess) - 0.5).square(),
        description="squared error of an adversary that guesses the continuous attribute",
    ),
}
