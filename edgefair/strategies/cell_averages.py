"""Running means over the (class, group) cells: what one batch cannot tell of cells with few rows, many batches can.

A batch of 64 has three to five rows of each of 14 cells. The largest of their differences is then mostly noise, always
positive, and smallest for a student that says the same of everyone; whoever minimises it trains such a student.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from edgefair.strategies.cell_sums import cell_sums


class CellGaps(NamedTuple):
    """How far the mean of each cell is from that of its class, and how sure that is; three tensors [C, G].

    gap     mean of the cell minus mean of its class; 0 where the cell has no rows
    error   standard error of the gap
    share   of the cell's rows among all rows; sums to 1
    """

    gap: Tensor
    error: Tensor
    share: Tensor

    @property
    def reliability(self) -> Tensor:
        """max(0, 1 - (error / gap)^2): the positive-part James-Stein factor, 0 where the gap may be noise alone."""
        return reliability(self.gap, self.error)


def reliability(mean: Tensor, error: Tensor) -> Tensor:
    """max(0, 1 - (error / mean)^2), elementwise; 0 for a mean of 0."""
    return (1 - (error / mean.abs().clamp(min=1e-12)) ** 2).clamp(min=0)


class CellAverages(nn.Module):
    """Exponentially weighted mean and variance of a value in every (class, group) cell, over about `memory` batches.

    With r = 1 - 1 / memory, over rows that are k batches old: n = sum r^k, n2 = sum r^2k, s = sum r^k x, q = sum r^k
    x^2. The mean is s / n, and its variance (q / n - mean^2) * n2 / n^2: n^2 / n2 unweighted rows would tell as much.
    """

    weight: Tensor
    weight_squared: Tensor
    total: Tensor
    square: Tensor

    def __init__(self, num_classes: int, num_groups: int, memory: int):
        super().__init__()
        self.decay = 1 - 1 / memory
        for name in ("weight", "weight_squared", "total", "square"):
            self.register_buffer(name, torch.zeros(num_classes, num_groups, dtype=torch.float64))

    @torch.no_grad()
    def update(self, values: Tensor, labels: Tensor, groups: Tensor) -> None:
        """Take in a batch: values [B] of rows with labels and groups [B]; group -1 is left out."""
        values = values.detach().double()
        num_classes, num_groups = self.total.shape
        total, count = cell_sums(values, labels, groups, num_classes, num_groups)
        square, _ = cell_sums(values * values, labels, groups, num_classes, num_groups)
        self.weight.mul_(self.decay).add_(count)
        self.weight_squared.mul_(self.decay**2).add_(count)
        self.total.mul_(self.decay).add_(total)
        self.square.mul_(self.decay).add_(square)

    def means(self) -> tuple[Tensor, Tensor]:
        """Mean of each cell and its variance, [C, G]; 0 where there are no rows."""
        n = self.weight.clamp(min=1e-12)
        mean = self.total / n
        return mean, (self.square / n - mean**2).clamp(min=0) * self.weight_squared / n**2

    def gaps(self) -> CellGaps:
        """The gaps of all cells to their classes.

        With p the cell's share of its class, the gap is the sum over the class's cells j of (1[j = cell] - p_j) mean_j,
        whose variance is (1 - p)^2 V + sum over the others of p_j^2 V_j.
        """
        mean, variance = self.means()
        of_class = self.weight.sum(1, keepdim=True).clamp(min=1e-12)  # [C, 1]
        p = self.weight / of_class
        gap = torch.where(self.weight > 0, mean - self.total.sum(1, keepdim=True) / of_class, 0)
        others = p**2 * variance
        error = ((1 - p) ** 2 * variance + others.sum(1, keepdim=True) - others).sqrt()
        share = self.weight / self.weight.sum().clamp(min=1e-12)
        return CellGaps(gap.float(), error.float(), share.float())


def running_gap_loss(values: Tensor, labels: Tensor, groups: Tensor, gaps: CellGaps) -> Tensor:
    """sum over classes c of r * |mean of cell (c, j) - mean of class c|, j the cell with the largest r * |gap|.

    values [B] with gradient; labels, groups [B], group -1 left out. Which cell, which sign, and the reliability r come
    from `gaps`, of many batches. The batch gives the gradient: a row counts 1 / (rows of its cell or class that a batch
    has in the mean), so that it is unbiased over batches also where some have no row of the cell.
    """
    known = groups >= 0
    sure = gaps.reliability * gaps.gap  # [C, G]
    worst = sure.abs().argmax(dim=1, keepdim=True)  # [C, 1]
    push = (torch.sign(gaps.gap) * gaps.reliability).gather(1, worst)  # [C, 1]
    of_cell = (gaps.share * known.sum()).clamp(min=1)  # [C, G]; of a very rare cell one row must not decide
    of_class = (gaps.share.sum(1, keepdim=True) * known.sum()).clamp(min=1)  # [C, 1]
    weight = (-push / of_class).expand_as(sure).scatter_add(1, worst, push / of_cell.gather(1, worst))
    return (weight[labels[known], groups[known]] * values[known]).sum()
