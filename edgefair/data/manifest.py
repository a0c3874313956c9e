"""A CSV manifest: columns path, label, group, and optionally split, id, identity, soft_group.

`soft_group` is a protected attribute in 0 .. 1, such as the share of men in a picture, for an adversary that guesses a
number; verdicts are by `group`. Paths are relative to the manifest's folder and stay inside it. An empty group is
unknown: such rows train the classifier and nothing else. The terms of the images are the owner's.
"""

import csv
import math
from pathlib import Path

from edgefair.data.examples import Examples
from edgefair.data.files import Entry, build
from edgefair.errors import DataError
from edgefair.recipe import DataRecipe

REQUIRED = ("path", "label", "group")
OPTIONAL = ("split", "id", "identity", "soft_group")
# Other common words for the lists.
_SPLIT_WORDS = {"val": "validation", "valid": "validation", "test": "gate", "calib": "calibration"}


def load(recipe: DataRecipe, seed: int, log) -> Examples:
    """Examples of the manifest `recipe.path`; raises DataError naming file and row of whatever is wrong."""
    path = Path(recipe.path)
    entries = read_manifest(path)
    return build(
        entries, recipe, seed, {"name": "manifest", "source": str(path), "terms": "those of the images' owner"}, log
    )


def read_manifest(path: Path) -> list[Entry]:
    """The rows of a manifest; raises DataError for a missing file or column, or a path that leaves the folder."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            _check_columns(path, reader.fieldnames or [])
            return [_entry(path, number, row) for number, row in enumerate(reader, start=2)]
    except OSError as error:
        raise DataError(f"cannot read the manifest {path}: {error.strerror}.") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a CSV file in UTF-8: {error}.") from None


def _check_columns(path: Path, columns: list[str]) -> None:
    if not columns:
        raise DataError(f"{path} is empty; a manifest begins with a line of column names: {','.join(REQUIRED)}.")
    for name in REQUIRED:
        if name not in columns:
            raise DataError(f"{path} has no column '{name}'; its columns are {', '.join(columns)}. Rename or add one.")


def _entry(manifest: Path, number: int, row: dict) -> Entry:
    where = f"{manifest.name}, line {number}"
    values = {name: (row.get(name) or "").strip() for name in (*REQUIRED, *OPTIONAL)}
    if not values["path"] or not values["label"]:
        raise DataError(
            f"{where}: path and label must not be empty (path '{values['path']}', label '{values['label']}')."
        )
    root = manifest.parent.resolve()
    image = (root / values["path"]).resolve()
    if not image.is_relative_to(root):
        raise DataError(
            f"{where}: path '{values['path']}' leaves the manifest's folder {root}; move the images into it."
        )
    return Entry(
        path=image,
        label=values["label"],
        group=values["group"],
        id=values["id"] or values["path"],
        where=where,
        split=_SPLIT_WORDS.get(values["split"].lower(), values["split"].lower()),
        identity=values["identity"],
        soft_group=_share(where, values["soft_group"]),
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
