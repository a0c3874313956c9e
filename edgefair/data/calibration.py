"""Rows for calibration: some of every cell of group and class."""

from typing import Literal

import numpy as np

from edgefair.data.dataset import Examples
from edgefair.errors import DataError
from edgefair.recipe import Recipe
from edgefair.seeds import generator


def calibration_rows(recipe: Recipe, examples: Examples) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Row numbers that set the ranges, by seed, their (class, group) cells, and the cells that have too few."""
    return rows_of_cells(examples, "calibration", recipe.quantize.rows_per_cell, generator(recipe.seed, "calibration"))


def calibration_images(recipe: Recipe, examples: Examples) -> tuple[np.ndarray, int]:
    """Their images, one row of every cell in turn, and how many make a batch that holds every cell once."""
    rows, cells, _ = calibration_rows(recipe, examples)
    turn = np.arange(len(rows)) - np.searchsorted(cells, cells)  # place of a row within its cell
    return examples.images[rows[np.lexsort((cells, turn))]], int(cells[-1]) + 1


AUTO_PER_CELL = 10  # calibration rows of a cell where nobody asks for another number


def rows_of_cells(
    examples: Examples, name: str, per_cell: int | Literal["auto"], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Rows of every (class, group) cell of the split `name`: int64 [K], their cells [K], a message for each short one.

    examples: the data set. per_cell: so many rows of each, or for "auto" ten, of a smaller cell all. rng: draws them.
    Raises DataError naming the cells that have fewer
    than a number that was asked for, or where no row has a known group.
    """
    counts = examples.counts(name)  # [G, C]
    wanted = AUTO_PER_CELL if per_cell == "auto" else per_cell
    short = [
        f"{examples.group_names[g]}/{examples.class_names[c]} has {counts[g, c]}"
        for g, c in np.argwhere(counts < wanted).tolist()
    ]
    if not counts.any():
        raise DataError(f"no {name} row has a known group. State the group of some, or do not declare groups.")
    if short and per_cell != "auto":
        first = ", ".join(short[:4]) + (", ..." if len(short) > 4 else "")
        raise DataError(
            f"{len(short)} (group, class) cells of the {name} rows have fewer than {wanted} rows: {first}. Set "
            f"quantize.rows_per_cell to auto, or to {max(1, counts.min())} or less, or give the split more rows with "
            f"data.{name}_share."
        )
    rows = examples.rows[name]
    chosen: list[np.ndarray] = []
    cells: list[np.ndarray] = []
    for group in range(len(examples.group_names)):
        for label in range(len(examples.class_names)):
            cell = rows[(examples.groups[rows] == group) & (examples.labels[rows] == label)]
            if len(cell):
                chosen.append(np.sort(rng.choice(cell, min(wanted, len(cell)), replace=False)))
                cells.append(np.full(len(chosen[-1]), len(cells)))
    return np.concatenate(chosen), np.concatenate(cells), short
