"""Sums over the (class, group) cells of a batch, for what is differentiated; rows of unknown group are left out."""

import torch
from torch import Tensor


def cell_sums(
    values: Tensor, labels: Tensor, groups: Tensor, num_classes: int, num_groups: int
) -> tuple[Tensor, Tensor]:
    """Sum of `values` [B] and number of rows in every cell: two tensors [C, G]; the sum is differentiable.

    labels, groups [B]: indices below num_classes (C) and num_groups (G), group -1 unknown.
    """
    known = groups >= 0
    cell = labels[known] * num_groups + groups[known]
    count = torch.bincount(cell, minlength=num_classes * num_groups)
    total = torch.zeros(len(count), dtype=values.dtype, device=values.device).index_add(0, cell, values[known])
    return total.view(num_classes, num_groups), count.view(num_classes, num_groups)
