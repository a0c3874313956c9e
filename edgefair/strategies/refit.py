"""What strategies share that fit the last layer again: rows with what the layer reads, draws, and how well it does."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from edgefair.errors import RecipeError, listed
from edgefair.models.last_layer import LastLayer
from edgefair.strategies.base import SplitRows


class Rows(NamedTuple):
    """What the last layer reads of N rows: `features` [N, D] in double precision, `labels` [N], `cells` [N].

    Cells are numbered class by class, over the groups that are counted; without groups a class is a cell.
    """

    features: Tensor
    labels: Tensor
    cells: Tensor

    def at(self, rows: Tensor | np.ndarray) -> "Rows":
        """Some of the rows, in that order."""
        return Rows(self.features[rows], self.labels[rows], self.cells[rows])


def check_classes(strategy: str, split: str, labels: Tensor, names: tuple[str, ...]) -> None:
    """Raise RecipeError where a class has none of the rows that a strategy fits on, whose labels [N] are given."""
    count = torch.bincount(labels.cpu(), minlength=len(names)).tolist()
    missing = [name for name, rows in zip(names, count, strict=True) if not rows]
    if missing:
        raise RecipeError(
            f"strategy '{strategy}' fits the last layer on {split} rows, of which none that it can use are of class "
            f"{listed(missing)}; set the strategy's rows to another split, or give more rows."
        )


def read_rows(layer: LastLayer, split: SplitRows, num_groups: int) -> Rows:
    """The rows of a split whose group is known; of all of them where `num_groups` is 1, each class one cell."""
    labels, groups = split.labels.cpu(), split.groups.cpu()
    groups = groups if num_groups > 1 else torch.zeros_like(groups)
    known = groups >= 0
    rows = Rows(layer.features(split.images()).double(), labels, labels * num_groups + groups)
    return rows.at(known)


def logits_of(theta: Tensor, features: Tensor) -> Tensor:
    """W x + b for theta = [W, b], [C, D + 1]: [N, C]."""
    return features @ theta[:, :-1].T + theta[:, -1]


def cell_figures(logits: Tensor, rows: Rows) -> tuple[float, float]:
    """The recall of the worst cell, and the mean of minus the cross-entropy over the cells, of the cells with rows."""
    _, place, count = torch.unique(rows.cells, return_inverse=True, return_counts=True)
    right = (logits.argmax(1) == rows.labels).double()
    loss = functional.cross_entropy(logits, rows.labels, reduction="none")
    recall, mean_loss = (torch.zeros(len(count), dtype=torch.float64).index_add(0, place, v) for v in (right, loss))
    return float((recall / count).min()), -float((mean_loss / count).mean())


def halves(cells: Tensor, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two halves of the rows, of every cell; an odd row goes to the first."""
    first, second = [], []
    for cell in torch.unique(cells).tolist():
        members = random.permutation(np.flatnonzero(cells.numpy() == cell))
        middle = (len(members) + 1) // 2
        first.append(members[:middle])
        second.append(members[middle:])
    return np.sort(np.concatenate(first)), np.sort(np.concatenate(second))


def balanced_draw(cells: Tensor, most: int, random: np.random.Generator) -> np.ndarray:
    """As many rows of every cell that has any: those of the smallest one, at most `most`; without replacement."""
    found, count = np.unique(cells.numpy(), return_counts=True)
    size = min(most, int(count.min()))
    drawn = [random.permutation(np.flatnonzero(cells.numpy() == cell))[:size] for cell in found]
    return np.sort(np.concatenate(drawn))
