"""The five splits: rows go where the data set says, the rest is drawn by seed, and no identity is in two splits."""

import math

import numpy as np

from edgefair.data.calibration import AUTO_PER_CELL
from edgefair.data.dataset import SPLITS
from edgefair.data.listing import Entry
from edgefair.errors import DataError, nearest
from edgefair.recipe.data_base import ImageFileSettings
from edgefair.seeds import generator


def split(
    entries: list[Entry], labels: np.ndarray, groups: np.ndarray, settings: ImageFileSettings, seed: int
) -> dict[str, np.ndarray]:
    """The five splits: rows go where they say; splits that no row names are drawn from rows without one, or from train.

    entries: N rows. labels, groups: int64 [N]. settings: the shares of what is drawn. seed: of the run. Drawn per
    (class, group) cell, whole identities at a time, in an order that depends on seed and identity alone. Returns split
    -> int64 rows; raises DataError for an unknown split, or an identity in two of them.
    """
    declared_split = np.array([e.split for e in entries])
    unknown = sorted(set(declared_split) - {"", *SPLITS})
    if unknown:
        first = entries[int(np.flatnonzero(declared_split == unknown[0])[0])]
        raise DataError(
            f"{first.where}: split '{unknown[0]}' is unknown; {nearest(unknown[0], SPLITS)} "
            "'test' means gate, 'val', 'valid' and 'dev' validation, 'training' train, 'calib' calibration; empty lets "
            "edgefair draw."
        )
    rows = {name: np.flatnonzero(declared_split == name) for name in SPLITS}
    pool = np.flatnonzero(declared_split == "")
    shares = {"gate": settings.gate_share, "validation": settings.validation_share}
    shares |= {"calibration": settings.calibration_share, "meta": settings.meta_share}
    wanted = {name: share for name, share in shares.items() if not len(rows[name])}
    if not len(pool):  # every row names its split: only splits that no row names come out of train
        pool, rows["train"] = rows["train"], np.empty(0, np.int64)
    drawn = _draw(pool, entries, labels, groups, wanted, seed)
    rows |= {name: drawn[name] for name in wanted}
    rows["train"] = np.sort(np.concatenate([rows["train"], drawn["train"]]))
    _check_identities(rows, entries)
    return rows


def _draw(pool, entries, labels, groups, wanted: dict[str, float], seed: int) -> dict[str, np.ndarray]:
    """Deal the pool into the wanted splits by their shares, the rest into train; stratified by the unit's first row."""
    units: dict[str, list[int]] = {}
    for row in pool.tolist():
        units.setdefault(entries[row].identity or f"\0{row}", []).append(row)
    cells: dict[tuple[int, int], list[list[int]]] = {}
    for unit in units.values():
        cells.setdefault((int(groups[unit[0]]), int(labels[unit[0]])), []).append(unit)
    dealt: dict[str, list[int]] = {name: [] for name in (*wanted, "train")}
    for cell, members in sorted(cells.items()):
        for name, part in deal(members, _enough(wanted, members, cell), seed, cell).items():
            dealt[name] += [row for unit in part for row in unit]
    return {name: np.sort(np.array(rows, np.int64)) for name, rows in dealt.items()}


def _enough(wanted: dict[str, float], members: list[list[int]], cell: tuple[int, int]) -> dict[str, float]:
    """The shares of a cell, whose members are people's rows; a small one gives calibration what it needs, to a quarter.

    Every (class, group) cell should have its say in the ranges of INT8; at a share of 5 % one of 60 rows has three.
    """
    share = wanted.get("calibration", 0.0)
    if share <= 0 or cell[0] < 0:
        return wanted
    count, rows = len(members), sum(len(unit) for unit in members)
    needed = min(math.ceil(AUTO_PER_CELL * count / rows), count // 4)
    return {**wanted, "calibration": max(share, needed / count)}


def deal(members: list, shares: dict[str, float], seed: int, cell: tuple[int, int]) -> dict[str, list]:
    """Deal the members of a (group, class) cell into splits by their shares, the rest into train, by `seed`."""
    order = generator(seed, "split", *cell).permutation(len(members))
    edges = np.round(np.cumsum(list(shares.values())) * len(members)).astype(int)
    parts = np.split(order, edges)
    return {name: [members[index] for index in part] for name, part in zip((*shares, "train"), parts, strict=True)}


def _check_identities(rows: dict[str, np.ndarray], entries: list[Entry]) -> None:
    seen: dict[str, str] = {}
    for name, members in rows.items():
        for row in members.tolist():
            identity = entries[row].identity
            if identity and seen.setdefault(identity, name) != name:
                raise DataError(
                    f"{entries[row].where}: identity '{identity}' is in the splits {seen[identity]} and {name}; "
                    "a person seen in training must not be judged. Give all rows of an identity the same split."
                )
