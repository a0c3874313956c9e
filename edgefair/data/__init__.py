"""Data sets: a table of readers, each giving Examples with five disjoint lists of rows."""

from pathlib import Path

from edgefair.data import fairface, manifest, trifeature
from edgefair.data.examples import LISTS, Examples, balanced_rows
from edgefair.errors import DataError, RecipeError, nearest
from edgefair.recipe import DataRecipe

DATASETS = {"trifeature": trifeature.load, "manifest": manifest.load, "fairface": fairface.load}

__all__ = ["DATASETS", "LISTS", "Examples", "balanced_rows", "load_examples", "recognise"]


def load_examples(recipe: DataRecipe, seed: int, log) -> Examples:
    """The examples that the recipe names; raises RecipeError for an unknown name, DataError for bad data."""
    if recipe.name not in DATASETS:
        raise RecipeError(f"unknown data set '{recipe.name}'; {nearest(recipe.name, DATASETS)} Or give a path.")
    if recipe.name != "trifeature" and not recipe.path:
        raise RecipeError(f"the data set '{recipe.name}' needs data.path (or --data PATH).")
    return DATASETS[recipe.name](recipe, seed, log)


def recognise(value: str) -> dict[str, str]:
    """Turn `--data NAME|PATH` into recipe fields: a CSV file is a manifest, a folder is recognised by its files."""
    path = Path(value)
    if value in DATASETS:
        return {"name": value}
    if path.is_dir():
        if (path / "fairface_label_train.csv").is_file():
            return {"name": "fairface", "path": value}
        if (path / "manifest.csv").is_file():
            return {"name": "manifest", "path": str(path / "manifest.csv")}
        raise DataError(
            f"the folder {value} is of no known kind: no fairface_label_train.csv and no manifest.csv in it."
        )
    if path.suffix.lower() == ".csv" or path.exists():
        return {"name": "manifest", "path": value}
    raise RecipeError(f"--data '{value}' is neither a data set nor an existing path; {nearest(value, DATASETS)}")
