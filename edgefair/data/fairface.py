"""FairFace as published: fairface_label_train.csv and fairface_label_val.csv with columns file, age, gender, race.

Kärkkäinen and Joo, "FairFace: Face Attribute Dataset for Balanced Race, Gender, and Age" (WACV 2021); CC BY 4.0. Ages,
genders and races are annotators' perceptions, not what the people shown would say of themselves.
The published validation images are the gate rows; the other lists are drawn from the training images.
"""

import csv
from pathlib import Path

from edgefair.data.examples import Examples
from edgefair.data.files import Entry, build
from edgefair.errors import DataError, RecipeError, nearest
from edgefair.recipe import DataRecipe
from edgefair.seeds import generator

AGES = ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70")
THREE_AGES = ("under 20", "20 to 39", "40 and over")
GENDERS = ("Female", "Male")
RACES = ("Black", "East Asian", "Indian", "Latino_Hispanic", "Middle Eastern", "Southeast Asian", "White")
COLUMNS = {"age": AGES, "gender": GENDERS, "race": RACES}
_FILES = {"train": "fairface_label_train.csv", "gate": "fairface_label_val.csv"}


def load(recipe: DataRecipe, seed: int, log) -> Examples:
    """Examples of the folder `recipe.path`; raises DataError or RecipeError naming what is missing or wrong."""
    for field in ("task", "group"):
        if getattr(recipe, field) not in COLUMNS:
            raise RecipeError(
                f"data.{field} '{getattr(recipe, field)}' is no FairFace column; "
                f"{nearest(getattr(recipe, field), COLUMNS)}"
            )
    if recipe.task == recipe.group:
        raise RecipeError(
            f"data.task and data.group are both '{recipe.task}'; the protected attribute must be another column."
        )
    folder = Path(recipe.path)
    entries = []
    for name, file in _FILES.items():
        part = _read(folder, file, name, recipe)
        entries += _fewer(part, recipe.max_rows, seed, name)
    declared = recipe.model_copy(
        update={"classes": _names(recipe.task, recipe), "groups": _names(recipe.group, recipe)}
    )
    about = {"name": "fairface", "source": str(folder), "terms": "CC BY 4.0; cite Kärkkäinen and Joo, WACV 2021"}
    return build(entries, declared, seed, {**about, "task": recipe.task, "group": recipe.group}, log)


def _names(column: str, recipe: DataRecipe) -> tuple[str, ...]:
    return THREE_AGES if column == "age" and recipe.age_buckets == 3 else COLUMNS[column]


def _value(column: str, text: str, recipe: DataRecipe) -> str:
    if column == "age" and recipe.age_buckets == 3 and text in AGES:
        return THREE_AGES[(AGES.index(text) >= 3) + (AGES.index(text) >= 5)]
    return text


def _read(folder: Path, file: str, name: str, recipe: DataRecipe) -> list[Entry]:
    path = folder / file
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
    except OSError as error:
        raise DataError(
            f"cannot read {path}: {error.strerror}. A FairFace folder holds {' and '.join(_FILES.values())}."
        ) from None
    split = "gate" if name == "gate" else ""
    try:
        return [
            Entry(
                path=folder / row["file"],
                label=_value(recipe.task, row[recipe.task], recipe),
                group=_value(recipe.group, row[recipe.group], recipe),
                id=row["file"],
                where=f"{file}, line {number}",
                split=split,
            )
            for number, row in enumerate(rows, start=2)
        ]
    except KeyError as error:
        raise DataError(f"{path} has no column {error}; FairFace files have file, age, gender, race.") from None


def _fewer(entries: list[Entry], most: int, seed: int, name: str) -> list[Entry]:
    if not most or len(entries) <= most:
        return entries
    chosen = generator(seed, "fairface", name).permutation(len(entries))[:most]
    return [entries[index] for index in sorted(chosen)]
