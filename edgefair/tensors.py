"""What any model returns and what a training step gets."""

import operator
from collections.abc import Iterable
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor


def add(terms: Iterable[Tensor]) -> Tensor:
    """The sum of one tensor or more; Python's own may be the number 0."""
    return reduce(operator.add, terms)


class Output(NamedTuple):
    """What a model returns: `logits` [B, C], penultimate `features` [B, D], optional stage `maps` [B, K, H, W]."""

    logits: Tensor
    features: Tensor
    maps: tuple[Tensor, ...] | None = None


class Batch(NamedTuple):
    """What a step gets: uint8 `images` [B, 3, H, W], `labels` [B], `groups` [B] (-1: unknown), row `ids` [B].

    `soft_groups` [B] is a protected attribute in 0 .. 1 (NaN: unknown), where the data have one. `weights` [B], mean 1
    over the training rows, say how much each row counts in a loss that is a mean over rows; None: all alike.
    """

    images: Tensor
    labels: Tensor
    groups: Tensor
    ids: Tensor
    soft_groups: Tensor | None = None
    weights: Tensor | None = None

    def at(self, rows: Tensor) -> "Batch":
        """The batch of some rows, in that order."""
        extra = (None if part is None else part[rows] for part in (self.soft_groups, self.weights))
        return Batch(self.images[rows], self.labels[rows], self.groups[rows], self.ids[rows], *extra)


def row_mean(rows: Tensor, weights: Tensor | None = None) -> Tensor:
    """mean over the batch of w_i * rows_i, for a value of each row [B]; without weights the plain mean."""
    return rows.mean() if weights is None else (weights * rows).mean()


def to_fp32(x: Tensor) -> Tensor:
    """Half precision (fp16, bf16) as fp32; what is as wide or wider stays as it is, uncopied."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
