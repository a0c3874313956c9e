"""Equal recalls as a constraint whose multipliers grow while it is broken: training as a game of two players.

Agarwal, Beygelzimer, Dudik, Langford, Wallach, "A reductions approach to fair classification" (ICML 2018); Cotter,
Jiang, Sridharan, "Two-player games for efficient non-convex constrained optimization" (ALT 2019).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgefair.recipe.strategies import LagrangianSettings
from edgefair.strategies.base import StepContext, Strategy
from edgefair.strategies.cell_averages import CellAverages, CellGaps
from edgefair.tensors import Batch

LARGEST = 4.0
"""Largest multiplier at lambda 1."""


class Multipliers(nn.Module):
    """mu [C, G]: grows where a cell's recall lies below its class's, falls where above, within -cap .. cap."""

    mu: Tensor

    def __init__(self, num_classes: int, num_groups: int, rate: float, cap: float):
        super().__init__()
        self.register_buffer("mu", torch.zeros(num_classes, num_groups))
        self.rate, self.cap = rate, cap

    @torch.no_grad()
    def update(self, gaps: CellGaps) -> None:
        """One step: mu <- clip(mu - rate * reliability * gap - its mean over the class's rows)."""
        of_class = gaps.share / gaps.share.sum(1, keepdim=True).clamp(min=1e-12)  # [C, G]
        mu = self.mu - self.rate * gaps.reliability * gaps.gap
        mu = mu - (of_class * mu).sum(1, keepdim=True)  # what all groups of a class lack is no gap
        self.mu.copy_(mu.clamp(-self.cap, self.cap))


class Lagrangian(Strategy):
    """L = L_task + mean over rows of mu[y, g] * (1 - p_y), p_y the student's probability of the true class.

    The mean of p_y over a cell is its recall in soft form. mu follows running means over `memory` batches, and only
    gaps that are more than their noise move it; lambda caps it at 4 lambda. A row of unknown group has no multiplier.
    The teacher's share in L_task stays as it is, so that the constraint holds against a biased teacher as well.
    """

    settings_class = LagrangianSettings
    settings: LagrangianSettings

    def __init__(self, context: StepContext):
        super().__init__(context)
        settings, sizes = self.settings, (context.probe.logits.shape[1], context.num_groups)
        self.averages = CellAverages(*sizes, settings.memory).to(self.device)
        self.multipliers = Multipliers(*sizes, settings.rate, LARGEST * settings.lam).to(self.device)

    @property
    def objective(self) -> str:
        lam = self.settings.lam
        return (
            "lagrangian: L = L_task + mean of mu * (1 - p), p the probability of the row's true class; the multiplier "
            f"mu of a (class, group) cell grows while its recall lags, up to 4 lambda = {LARGEST * lam:g}."
        )

    def extra_modules(self) -> dict[str, nn.Module]:
        return {"averages": self.averages, "multipliers": self.multipliers}

    def step(self, batch: Batch) -> dict[str, float]:
        student, terms = self.forward(batch)
        right = functional.softmax(student.logits, dim=1).gather(1, batch.labels[:, None])[:, 0]  # [B]
        self.averages.update(right, batch.labels, batch.groups)
        if self.global_step >= self.settings.memory:  # before that the means know little
            self.multipliers.update(self.averages.gaps())
        known = batch.groups >= 0
        mu = self.multipliers.mu[batch.labels[known], batch.groups[known]]
        constraint = (mu * (1 - right[known])).sum() / len(known)
        values = self.backward_and_step(terms, extra={"constraint": constraint})
        return values | {"multiplier": float(self.multipliers.mu.abs().max())}
