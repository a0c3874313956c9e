"""Training rows with a chosen correlation of class and group, drawn from any data set by leaving rows out.

As in trifeature and CIFAR-10S, whose images are made so: a share `skew` of a class's training rows show the class's own
group, and 1 / (number of groups) is balanced. Class c owns group c modulo the number of groups, so that neighbouring
classes own different groups; the other groups share the rest of a class evenly. All other splits stay as they are.
"""

from dataclasses import dataclass, field

import numpy as np

from edgefair.data.listing import Entry
from edgefair.errors import DataError
from edgefair.seeds import generator


@dataclass(frozen=True)
class Skewed:
    """The training rows that stay (int64, sorted), the ids of those left out by reason, and words for the report."""

    rows: np.ndarray
    left_out: dict[str, list[str]] = field(default_factory=dict)
    about: dict = field(default_factory=dict)


def own_group(label: int, num_groups: int) -> int:
    """The group that a class owns: its number modulo the number of groups."""
    return label % num_groups


def quotas(counts: np.ndarray, own: int, skew: float) -> np.ndarray:
    """Rows of each group in a class, int64 [G]: as many as there can be where round(skew n) of all n are its own's.

    n     = max { n : q_g(n) <= counts_g for all g }
    q_own = round(skew n);  the others share n - q_own evenly, the first of them a row more where that leaves a rest

    counts: rows that there are, int64 [G], G >= 2. own: the group that the class owns. skew: in 0 .. 1.
    """
    lowest, highest = 0, int(counts.sum())
    while lowest < highest:  # every q_g grows with n
        middle = (lowest + highest + 1) // 2
        lowest, highest = (
            (middle, highest) if (_shared(middle, own, skew, len(counts)) <= counts).all() else (lowest, middle - 1)
        )
    return _shared(lowest, own, skew, len(counts))


def _shared(n: int, own: int, skew: float, num_groups: int) -> np.ndarray:
    mine = int(np.floor(skew * n + 0.5))
    whole, rest = divmod(n - mine, num_groups - 1)
    others = [whole + (place < rest) for place in range(num_groups - 1)]
    return np.array([*others[:own], mine, *others[own:]], np.int64)


def skewed(
    train: np.ndarray,
    entries: list[Entry],
    labels: np.ndarray,
    groups: np.ndarray,
    names: tuple[tuple[str, ...], tuple[str, ...]],
    skew: float,
    seed: int,
) -> Skewed:
    """The training rows drawn so that a share `skew` of each class show the class's own group; 0 leaves all of them.

    train: rows of the split. entries, labels, groups: of all rows; rows of unknown group are left out. names: of
    classes and groups. Drawn by `seed`, people whole: where one has several rows, a cell may miss its quota by a few.
    Raises DataError naming the cell that has no rows, or so few that others would be empty.
    """
    if not skew:
        return Skewed(train)
    class_names, group_names = names
    if len(group_names) < 2:
        raise DataError(f"data.skew {skew:g}: the data declare no groups, so there is nothing to skew. Leave it out.")
    cells = np.zeros((len(group_names), len(class_names)), np.int64)
    known = train[groups[train] >= 0]
    np.add.at(cells, (groups[known], labels[known]), 1)
    wanted = _wanted(cells, skew, names)
    kept = _draw(known, entries, labels, groups, wanted, seed)
    rest = np.setdiff1d(train, kept)
    reached = np.zeros_like(cells)
    np.add.at(reached, (groups[kept], labels[kept]), 1)
    own = [own_group(label, len(group_names)) for label in range(len(class_names))]
    shares = reached[own, range(len(own))] / np.maximum(reached.sum(0), 1)
    about = {
        "skew": skew,
        "own_groups": {name: group_names[group] for name, group in zip(class_names, own, strict=True)},
        "own_shares": {name: round(float(share), 4) for name, share in zip(class_names, shares, strict=True)},
    }
    reasons = {f"training rows that data.skew {skew:g} leaves no place for": groups[rest] >= 0}
    reasons[f"training rows of unknown group, with data.skew {skew:g}"] = groups[rest] < 0
    return Skewed(kept, {why: [entries[row].id for row in rest[those]] for why, those in reasons.items()}, about)


def _wanted(cells: np.ndarray, skew: float, names: tuple[tuple[str, ...], tuple[str, ...]]) -> np.ndarray:
    """The quota of every cell, int64 [G, C]; raises DataError where the skew cannot be drawn."""
    class_names, group_names = names
    num_groups, wanted = len(group_names), np.zeros_like(cells)
    for label, class_name in enumerate(class_names):
        own = own_group(label, num_groups)
        needed = [g for g in range(num_groups) if (skew if g == own else 1 - skew) > 0]
        for group in needed:
            if not cells[group, label]:
                raise DataError(
                    f"data.skew {skew:g} cannot be drawn: the cell {group_names[group]}/{class_name} has no training "
                    "rows. Choose another --group or task, merge classes, or leave data.skew out."
                )
        wanted[:, label] = quotas(cells[:, label], own, skew)
        if empty := [g for g in needed if not wanted[g, label]]:
            counts = ", ".join(f"{group_names[g]} {cells[g, label]:,}" for g in range(num_groups))
            raise DataError(
                f"data.skew {skew:g} would leave the cell {group_names[empty[0]]}/{class_name} without training rows: "
                f"the class has too few ({counts}). Use a skew nearer to 1 / {num_groups}, or more rows "
                "(data.max_rows)."
            )
    return wanted


def _draw(
    rows: np.ndarray, entries: list[Entry], labels: np.ndarray, groups: np.ndarray, wanted: np.ndarray, seed: int
) -> np.ndarray:
    """Rows of whole people in an order drawn by seed, each taken where no quota is exceeded; int64, sorted."""
    people: dict[str, list[int]] = {}
    for row in rows.tolist():
        people.setdefault(entries[row].identity or f"\0{row}", []).append(row)
    order = list(people.values())
    left, kept = wanted.copy(), []
    for at in generator(seed, "skew").permutation(len(order)).tolist():
        need = np.zeros_like(left)
        np.add.at(need, (groups[order[at]], labels[order[at]]), 1)
        if (need <= left).all():
            left -= need
            kept += order[at]
    return np.sort(np.array(kept, np.int64))
