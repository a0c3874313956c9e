"""Group DRO: Sagawa, Koh, Hashimoto, Liang, "Distributionally robust neural networks for group shifts" (ICLR 2020).

The worst group's loss is minimised by an online game: weights q of the groups grow exponentially with their losses, and
the network goes down the weighted loss. Groups are (class, group) cells.
"""

import torch
from torch import Tensor, nn

from edgefair.recipe.strategies import GroupDroSettings
from edgefair.strategies.base import StepContext, Strategy
from edgefair.strategies.cell_sums import cell_sums
from edgefair.tensors import Batch


class CellWeights(nn.Module):
    """q [C, G], which sums to 1 over the cells with training rows, and moving averages of the cells' losses.

    rows [C, G]: training rows of each cell. The generalisation adjustment C / sqrt(n) is added to a cell's loss.
    """

    q: Tensor
    average: Tensor
    seen: Tensor
    adjustment: Tensor

    def __init__(self, rows: Tensor, adjustment: float, step_size: float, memory: float):
        super().__init__()
        there = (rows > 0).float()
        self.register_buffer("q", there / there.sum().clamp(min=1))
        self.register_buffer("average", torch.zeros_like(there))
        self.register_buffer("seen", torch.zeros_like(there))
        self.register_buffer("adjustment", there * adjustment / rows.clamp(min=1).sqrt(), persistent=False)
        self.step_size, self.memory = step_size, memory

    @torch.no_grad()
    def update(self, losses: Tensor, counts: Tensor) -> None:
        """One step of q for a batch's mean losses of cells [C, G], of `counts` rows each.

        q_c <- q_c * exp(step * (average_c + C / sqrt(n_c))) / sum. A cell that the batch has no rows of keeps its
        average, where the authors' program takes its loss as 0: of many cells a small batch lacks some.
        """
        found = counts > 0
        keep = self.memory * self.seen  # the first loss of a cell is its average
        self.average.copy_(torch.where(found, keep * self.average + (1 - keep) * losses, self.average))
        self.seen.copy_(torch.maximum(self.seen, found.float()))
        grown = self.q * torch.exp(self.step_size * (self.average + self.adjustment))
        self.q.copy_(grown / grown.sum().clamp(min=1e-12))


class GroupDro(Strategy):
    """L = (1 - lambda) * L_task + lambda * sum over cells of q_c * L_c, with L_c the mean of L_task over a cell's rows.

    What of the loss is a mean over rows is weighted, distillation included; what compares rows with one another has no
    cell and stays as it is. Rows of unknown group keep their weight.
    """

    settings_class = GroupDroSettings
    settings: GroupDroSettings

    def __init__(self, context: StepContext):
        super().__init__(context)
        train, settings = context.splits["train"], self.settings
        self.sizes = context.probe.logits.shape[1], context.num_groups
        _, rows = cell_sums(torch.ones(len(train.labels)), train.labels.cpu(), train.groups.cpu(), *self.sizes)
        cells = CellWeights(rows, settings.adjustment, settings.step_size, settings.memory)
        self.cells = cells.to(self.device)

    @property
    def objective(self) -> str:
        return (
            "group-dro: L = (1 - lambda) * L_task + lambda * sum_c q_c L_c, lambda = "
            f"{self.settings.lam:g}; L_c is the loss of a (class, group) cell, and q follows the worst."
        )

    def extra_modules(self) -> dict[str, nn.Module]:
        return {"cells": self.cells}

    def step(self, batch: Batch) -> dict[str, float]:
        if not self.settings.lam:
            return super().step(batch)
        even = torch.ones(len(batch.labels), device=self.device, requires_grad=True)
        _, terms = self.forward(batch._replace(weights=even))
        shares = row_shares(terms, even)
        losses = len(batch.labels) * sum((part.detach() for part in shares.values()), torch.zeros_like(even))
        total, counts = cell_sums(losses.detach(), batch.labels, batch.groups, *self.sizes)
        self.cells.update(total / counts.clamp(min=1), counts)
        weights = self.settings.lam * (self._row_weights(batch, counts) - 1)
        # 1 + weights on every row: what a term has beside its rows stays as it is.
        terms = {
            name: term + (weights * shares[name]).sum() if name in shares else term for name, term in terms.items()
        }
        return self.backward_and_step(terms) | {"largest_q": float(self.cells.q.max())}

    def _row_weights(self, batch: Batch, counts: Tensor) -> Tensor:
        """What makes the mean over rows sum_c q_c * (mean over the cell's rows): q_c * B_known / B_c, [B]."""
        known = batch.groups >= 0
        cell = batch.labels, batch.groups.clamp(min=0)
        weights = self.cells.q[cell] * known.sum() / counts[cell].clamp(min=1)
        return torch.where(known, weights, 1)


def row_shares(terms: dict[str, Tensor], weights: Tensor) -> dict[str, Tensor]:
    """Each row's share of every term that is a mean over rows, [B], differentiable; other terms have none.

    A term that is mean_i w_i l_i + rest has d term / d w_i = l_i / B. `weights` w [B] went into the terms.
    """
    shares = {}
    for name, term in terms.items():
        if not term.requires_grad:
            continue
        (part,) = torch.autograd.grad(term, weights, create_graph=True, allow_unused=True)
        if part is not None:
            shares[name] = part
    return shares
