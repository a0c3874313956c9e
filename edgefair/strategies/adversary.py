"""The adversary, and what it guesses: the group, or a continuous protected attribute."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgefair.strategies.cell_averages import CellAverages, reliability
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
    baseline: Callable[[CellAverages, Tensor, Tensor], Tensor]  # loss [K] of a guess from the class alone
    description: str


class Information(nn.Module):
    """What an adversary knows beyond the class: the mean of (loss of a guess from the class alone - its own loss).

    In nats for groups, the conditional mutual information I(z; group | class) as far as the adversary finds it. It is
    estimated on rows that it has not learned from yet; otherwise what it learned by heart would count as knowledge.
    """

    def __init__(self, attribute: "ProtectedAttribute", num_classes: int, num_groups: int, memory: int):
        super().__init__()
        self.attribute = attribute
        self.shares = CellAverages(num_classes, num_groups, 10 * memory)
        self.gain = CellAverages(1, 1, memory)

    @torch.no_grad()
    def update(self, guess: Tensor, labels: Tensor, values: Tensor) -> None:
        """Take in K rows: the adversary's guess [K, outputs], the class as it knows it [K], the truth [K]."""
        gain = self.attribute.baseline(self.shares, labels, values) - self.attribute.loss(guess, values)
        one = torch.zeros_like(labels)
        self.gain.update(gain, one, one)
        groups = values if self.attribute.outputs(2) > 1 else one
        self.shares.update(values, labels, groups)

    def mean(self) -> float:
        """The running mean of the gain."""
        return float(self.gain.means()[0])

    def reliability(self) -> float:
        """Between 0, where the gain is less than twice its standard error or negative, and 1, where it is sure."""
        mean, variance = self.gain.means()
        return float(reliability(mean.clamp(min=0), 2 * variance.sqrt()))


def _group_baseline(shares: CellAverages, labels: Tensor, groups: Tensor) -> Tensor:
    count = shares.weight + 1
    return -torch.log(count / count.sum(1, keepdim=True))[labels, groups]


def _mean_baseline(shares: CellAverages, labels: Tensor, values: Tensor) -> Tensor:
    count = shares.weight + 1
    return (((shares.total + 0.5) / count)[labels, 0] - values).square()


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
        baseline=_group_baseline,
        description="cross-entropy of an adversary that guesses the group",
    ),
    "soft_group": ProtectedAttribute(
        outputs=lambda _: 1,
        values=_soft_groups,
        known=lambda shares: ~torch.isnan(shares),
        loss=lambda guess, shares: (_share(guess) - shares).square(),
        confusion_loss=lambda guess: (_share(guess) - 0.5).square(),
        baseline=_mean_baseline,
        description="squared error of an adversary that guesses the continuous attribute",
    ),
}
