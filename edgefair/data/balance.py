"""A gate with as many rows of every (group, class) cell, as the papers test on CelebA."""

from edgefair.data.listing import Entry
from edgefair.errors import DataError
from edgefair.seeds import generator


def by_cell(entries: list[Entry]) -> dict[tuple[str, str], list[int]]:
    """The rows of every (group, class) cell that has any; rows of unknown group are in none."""
    cells: dict[tuple[str, str], list[int]] = {}
    for row, entry in enumerate(entries):
        if entry.group:
            cells.setdefault((entry.group, entry.label), []).append(row)
    return cells


def balanced(entries: list[Entry], seed: int, purpose: str) -> list[Entry]:
    """The entries with the gate cut down, by seed, to the size of its smallest cell; unknown groups leave it."""
    gate = [row for row, entry in enumerate(entries) if entry.split == "gate"]
    cells = by_cell([entries[row] for row in gate])
    if not cells:
        raise DataError("data.balanced_test: no gate row has a known group, so there is nothing to balance.")
    least = min(len(rows) for rows in cells.values())
    kept = set(range(len(entries))) - set(gate)
    for cell, rows in sorted(cells.items()):
        drawn = generator(seed, purpose, "balanced", *cell).permutation(len(rows))[:least]
        kept |= {gate[rows[at]] for at in drawn.tolist()}
    return [entries[row] for row in sorted(kept)]
