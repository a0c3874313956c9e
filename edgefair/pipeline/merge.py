"""Predictions of parts of the gate rows, put together to what one process would have written for all of them."""

from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edgefair.errors import DataError, listed
from edgefair.files import digest, flat
from edgefair.predictions import Predictions

OWN = ("part", "rows_sha256", "data_sha256")  # what `about` says of a part alone


class Part(NamedTuple):
    """Rows first .. end - 1 of a file."""

    first: int
    end: int
    path: Path
    predictions: Predictions


def merge(paths: list[Path]) -> Predictions:
    """The predictions of all rows, from files of `edgefair predict --rows` in whatever order.

    Raises DataError where rows are missing or stand twice, or where the parts are of different artefacts, runtimes,
    machines or gate rows.
    """
    parts = sorted(_load(Path(path)) for path in dict.fromkeys(paths))
    for part in parts[1:]:
        _check_same(parts[0], part)
    whole = parts[0].predictions.about["part"]
    _check_complete(parts, whole["of"])
    each = [part.predictions for part in parts]
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(one, name) for one in each]) for name in ("ids", "labels", "groups", "logits")
    }
    if each[0].identities is not None:
        columns["identities"] = np.concatenate([one.identities for one in each])
    if digest(columns["ids"].tolist()) != whole["rows_sha256"]:
        raise DataError("the ids of the parts are not those of the gate rows that the parts name. Predict them again.")
    about = {name: value for name, value in each[0].about.items() if name not in OWN}
    about |= {name: whole[name] for name in OWN[1:]}
    return Predictions(**columns, class_names=each[0].class_names, group_names=each[0].group_names, about=about)


def _load(path: Path) -> Part:
    predictions = Predictions.load(path)
    part = predictions.about.get("part")
    if not part:
        raise DataError(f"{path} holds all rows of its gate, not a part of them: there is nothing to merge.")
    if len(predictions.ids) != part["end"] - part["first"]:
        raise DataError(
            f"{path} is damaged: it has {len(predictions.ids)} rows and says {part['first']}:{part['end']}."
        )
    return Part(part["first"], part["end"], path, predictions)


def _check_same(one: Part, other: Part) -> None:
    """Refuse parts that were not made by the same file on the same runtime, machine and rows."""
    here, there = (_made_by(part.predictions) for part in (one, other))
    differing = [
        f"{name}: {here.get(name)} there, {there.get(name)} here"
        for name in dict.fromkeys((*here, *there))
        if here.get(name) != there.get(name)
    ]
    if differing:
        raise DataError(
            f"{other.path} cannot be merged with {one.path}; they differ:\n  " + "\n  ".join(differing) + "\n"
            "Predict every part with the same file, runtime, threads and kind of machine, on the same gate.npz."
        )


def _made_by(predictions: Predictions) -> dict[str, Any]:
    about = {name: value for name, value in predictions.about.items() if name not in OWN}
    whole = {name: predictions.about["part"][name] for name in ("of", *OWN[1:])}
    names = {"class_names": predictions.class_names, "group_names": predictions.group_names}
    return flat(about) | {f"gate.{name}": value for name, value in whole.items()} | names


def _check_complete(parts: list[Part], count: int) -> None:
    """Refuse rows that stand twice or are missing, and name them."""
    for one, other in pairwise(parts):
        if other.first < one.end:
            twice = f"{other.first}:{min(one.end, other.end)}"
            raise DataError(f"rows {twice} stand in both {one.path} and {other.path}. Give every row once.")
    ends = [0, *(part.end for part in parts)]
    starts = [*(part.first for part in parts), count]
    missing = [f"{end}:{start}" for end, start in zip(ends, starts, strict=True) if end < start]
    if missing:
        raise DataError(
            f"rows {listed(missing)} of {count} are in none of the {len(parts)} parts. Predict them too: edgefair "
            f"predict ... --rows {missing[0]}."
        )
