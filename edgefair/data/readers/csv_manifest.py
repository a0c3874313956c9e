"""A manifest, CSV or Parquet: columns path, label, group, and optionally split, id, identity, soft_group.

`data.task` and `data.group` may name other columns, the latter several joined by `+`: their intersection. `soft_group`
is a protected attribute in 0 .. 1, such as the share of men in a picture, for an adversary that guesses a number;
verdicts are by group. Paths are relative to the manifest's folder and stay inside it. An empty group is unknown: such
rows train the classifier and nothing else. The terms of the images are the owner's.
"""

import math
from pathlib import Path

from edgefair.data.attributes import Chosen, protected_of
from edgefair.data.listing import ALL, Entry, FilePart, Listing, normalize_split
from edgefair.data.tables import read_rows
from edgefair.errors import DataError
from edgefair.log import Log
from edgefair.recipe.data import ManifestSettings

TERMS = "those of the images' owner"
USUAL = Chosen("label", ("group",))
FILES = ("manifest.csv", "manifest.parquet")


def recognize(path: Path) -> bool:
    """Whether a folder holds a manifest."""
    return any((path / name).is_file() for name in FILES)


def read(settings: ManifestSettings, seed: int, log: Log) -> Listing:
    """The entries of the manifest `settings.path`; raises DataError naming file and row of whatever is wrong."""
    path = Path(settings.path)
    if path.is_dir():
        path = next((path / name for name in FILES if (path / name).is_file()), path / FILES[0])
    chosen = Chosen(settings.task, protected_of(settings))
    about = {"name": "manifest", "source": str(path), "terms": TERMS, **chosen.about()}
    return Listing(read_manifest(path, chosen), about, settings.classes, settings.groups if chosen.protected else ALL)


def read_manifest(path: Path, chosen: Chosen = USUAL) -> list[Entry]:
    """The rows of a manifest; raises DataError for a missing file or column, or a path that leaves the folder."""
    rows = read_rows(path, ("path", chosen.task, *chosen.protected), "the manifest")
    root = path.parent.resolve()
    return [_entry(root, where, values, chosen) for where, values in rows]


def _entry(root: Path, where: str, values: dict[str, str], chosen: Chosen) -> Entry:
    label = chosen.label(values)
    if not values["path"] or not label:
        raise DataError(
            f"{where}: path and {chosen.task} must not be empty (path '{values['path']}', label '{label}')."
        )
    image = (root / values["path"]).resolve()
    if not image.is_relative_to(root):
        raise DataError(
            f"{where}: path '{values['path']}' leaves the manifest's folder {root}; move the images into it."
        )
    return Entry(
        image=FilePart(str(image)),
        label=label,
        group=chosen.group(values),
        id=values.get("id") or values["path"],
        where=where,
        split=normalize_split(values.get("split", "")),
        identity=values.get("identity", ""),
        soft_group=_share(where, values.get("soft_group", "")),
    )


def _share(where: str, text: str) -> float:
    if not text:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise DataError(
            f"{where}: soft_group '{text}' is no number from 0 to 1. Correct it, or leave it empty: unknown."
        )
    return value
