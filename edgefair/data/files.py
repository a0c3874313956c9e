"""Data sets made of image files: decode all, split into the five lists, keep people together."""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgefair.data.cache import cached_images
from edgefair.data.examples import LISTS, Examples
from edgefair.errors import DataError, nearest
from edgefair.files import digest
from edgefair.preprocess import VERSION, decode
from edgefair.recipe import DataRecipe
from edgefair.seeds import generator


@dataclass(frozen=True)
class Entry:
    """One image file: where it is, what it shows, and where it says it belongs (a list's name, or empty)."""

    path: Path
    label: str
    group: str  # empty: unknown
    id: str
    where: str  # for messages: file and row
    split: str = ""
    identity: str = ""
    soft_group: float = math.nan


def build(entries: list[Entry], recipe: DataRecipe, seed: int, about: dict, log) -> Examples:
    """Examples of image files; raises DataError for unreadable files, undeclared labels or groups, or an empty list."""
    if not entries:
        raise DataError(
            f"{about['source']} names no images; at least a few for every class, group and list are needed."
        )
    class_names = _names("class", recipe.classes, [e.label for e in entries], entries)
    group_names = _names("group", recipe.groups, [e.group for e in entries if e.group], entries)
    entries, broken = _readable(entries, recipe, log)
    labels = np.array([class_names.index(e.label) for e in entries], np.int64)
    groups = np.array([group_names.index(e.group) if e.group else -1 for e in entries], np.int64)
    return Examples(
        images=_images(entries, recipe, log),
        labels=labels,
        groups=groups,
        ids=np.array([e.id for e in entries]),
        class_names=class_names,
        group_names=group_names,
        rows=split(entries, labels, groups, recipe, seed),
        about={**about, "broken_images": len(broken), "broken_examples": broken[:20]},
        identity=np.array([e.identity for e in entries]) if any(e.identity for e in entries) else None,
        soft_groups=_soft_groups(entries),
    )


def _soft_groups(entries: list[Entry]) -> np.ndarray | None:
    values = np.array([e.soft_group for e in entries], np.float32)
    return None if np.isnan(values).all() else values


def _names(what: str, declared: tuple[str, ...], found: list[str], entries: list[Entry]) -> tuple[str, ...]:
    if declared:
        for entry in entries:
            value = entry.label if what == "class" else entry.group
            if value not in declared and not (what == "group" and not value):
                raise DataError(f"{entry.where}: {what} '{value}' is not declared; {nearest(value, declared)}")
        return tuple(declared)
    names = tuple(sorted(set(found)))
    if len(names) < 2:
        raise DataError(
            f"only {len(names)} {what}{'' if len(names) == 1 else 's'} found ({', '.join(names) or 'none'}); "
            f"two or more are needed to train a classifier and compare groups."
        )
    return names


def _stamp(entry: Entry) -> tuple[str, int, int]:
    status = entry.path.stat()
    return (str(entry.path), status.st_size, status.st_mtime_ns)


def _try(entry: Entry, size: int) -> np.ndarray | DataError:
    try:
        return decode(entry.path, size)
    except DataError as error:
        return DataError(f"{entry.where}: {error}")


def _readable(entries: list[Entry], recipe: DataRecipe, log) -> tuple[list[Entry], list[str]]:
    """Leave out (or refuse) files that are not there; broken content shows when the images are decoded."""
    missing = [e for e in entries if not e.path.is_file()]
    if missing and not recipe.skip_broken:
        raise DataError(
            f"{missing[0].where}: there is no image {missing[0].path} ({len(missing)} such rows). "
            "Correct the path, or go on without such rows with --skip-broken."
        )
    present = [e for e in entries if e.path.is_file()]
    if not recipe.skip_broken:
        return present, []
    # With --skip-broken the row count must be known before the array is made, so every file is decoded once to see.
    with ThreadPoolExecutor() as pool, log.progress("checking images", len(present)) as advance:
        kept = []
        broken = [f"{e.where}: missing" for e in missing]
        for entry, result in zip(present, pool.map(lambda e: _try(e, recipe.image_size), present), strict=True):
            broken += [str(result)] if isinstance(result, DataError) else []
            kept += [] if isinstance(result, DataError) else [entry]
            advance(1)
    if broken:
        log.line(f"left out {len(broken)} unreadable images, first: {broken[0]}")
    return kept, broken


def _images(entries: list[Entry], recipe: DataRecipe, log) -> np.ndarray:
    key = digest([VERSION, recipe.image_size, [_stamp(e) for e in entries]])
    return cached_images(f"files-{key[:24]}", len(entries), recipe.image_size, _blocks(entries, recipe.image_size), log)


def _blocks(entries: list[Entry], size: int, block: int = 256) -> Iterator[np.ndarray]:
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(entries), block):
            decoded = list(pool.map(lambda e: _try(e, size), entries[start : start + block]))
            for result in decoded:
                if isinstance(result, DataError):
                    raise DataError(
                        f"{str(result).rstrip('.')}. Replace the file, or go on without such rows with --skip-broken."
                    )
            yield np.stack(decoded)


def split(
    entries: list[Entry], labels: np.ndarray, groups: np.ndarray, recipe: DataRecipe, seed: int
) -> dict[str, np.ndarray]:
    """The five lists: rows go where they say; lists that nobody names are drawn from rows without a list, or train.

    Drawn per (class, group) cell, whole identities at a time, in an order that depends on seed and identity alone.
    """
    told = np.array([e.split for e in entries])
    unknown = sorted(set(told) - {"", *LISTS})
    if unknown:
        first = entries[int(np.flatnonzero(told == unknown[0])[0])]
        raise DataError(
            f"{first.where}: split '{unknown[0]}' is not a list; {nearest(unknown[0], LISTS)} "
            "'test' means gate, 'val' validation; empty lets edgefair draw."
        )
    rows = {name: np.flatnonzero(told == name) for name in LISTS}
    pool = np.flatnonzero(told == "")
    shares = {"gate": recipe.gate_share, "validation": recipe.validation_share}
    shares |= {"calibration": recipe.calibration_share, "meta": recipe.meta_share}
    wanted = {name: share for name, share in shares.items() if not len(rows[name])}
    if not len(pool):  # nothing is left to edgefair: only lists that nobody names come out of train
        pool, rows["train"] = rows["train"], np.empty(0, np.int64)
    drawn = _draw(pool, entries, labels, groups, wanted, seed)
    rows |= {name: drawn[name] for name in wanted}
    rows["train"] = np.sort(np.concatenate([rows["train"], drawn["train"]]))
    _refuse_shared_identity(rows, entries)
    return rows


def _draw(pool, entries, labels, groups, wanted: dict[str, float], seed: int) -> dict[str, np.ndarray]:
    """Deal the pool into the wanted lists by their shares, the rest into train; stratified by the unit's first row."""
    units: dict[str, list[int]] = {}
    for row in pool.tolist():
        units.setdefault(entries[row].identity or f"\0{row}", []).append(row)
    cells: dict[tuple[int, int], list[list[int]]] = {}
    for unit in units.values():
        cells.setdefault((int(groups[unit[0]]), int(labels[unit[0]])), []).append(unit)
    dealt: dict[str, list[int]] = {name: [] for name in (*wanted, "train")}
    for cell, members in sorted(cells.items()):
        for name, part in deal(members, wanted, seed, cell).items():
            dealt[name] += [row for unit in part for row in unit]
    return {name: np.sort(np.array(rows, np.int64)) for name, rows in dealt.items()}


def deal(members: list, shares: dict[str, float], seed: int, cell: tuple[int, int]) -> dict[str, list]:
    """Deal the members of a (group, class) cell into lists by their shares, the rest into train."""
    order = generator(seed, "split", *cell).permutation(len(members))
    edges = np.round(np.cumsum(list(shares.values())) * len(members)).astype(int)
    parts = np.split(order, edges)
    return {name: [members[index] for index in part] for name, part in zip((*shares, "train"), parts, strict=True)}


def _refuse_shared_identity(rows: dict[str, np.ndarray], entries: list[Entry]) -> None:
    seen: dict[str, str] = {}
    for name, members in rows.items():
        for row in members.tolist():
            identity = entries[row].identity
            if identity and seen.setdefault(identity, name) != name:
                raise DataError(
                    f"{entries[row].where}: identity '{identity}' stands in the lists {seen[identity]} and {name}; "
                    "a person seen in training must not be judged. Give all rows of an identity the same split."
                )
