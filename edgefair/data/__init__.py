"""Data sets: a table of readers, each giving Examples with five disjoint lists of rows."""

from functools import partial

from edgefair.data import detect as recognition
from edgefair.data.build import build
from edgefair.data.calibration import rows_of_cells
from edgefair.data.dataset import LISTS, Examples
from edgefair.data.listing import Listing
from edgefair.data.readers import (
    celeba,
    cifar,
    fairface,
    imagefolder,
    imagenet,
    svhn,
    tinyimagenet,
    trifeature,
    utkface,
    waterbirds,
    webdataset,
    wider,
)
from edgefair.data.readers import (
    csv_manifest as manifest,
)
from edgefair.data.readers import (
    huggingface as hf,
)
from edgefair.errors import RecipeError, nearest
from edgefair.recipe import DataRecipe
from edgefair.recipe.data import FIXED

# Readers of image files: each gives entries (`read`) and knows its own folder (`recognise`); the last is the loosest.
READERS = {
    "manifest": manifest,
    "fairface": fairface,
    "celeba": celeba,
    "utkface": utkface,
    "wider": wider,
    "waterbirds": waterbirds,
    "svhn": svhn,
    "tinyimagenet": tinyimagenet,
    "imagenet": imagenet,
    "hf": hf,
    "webdataset": webdataset,
    "imagefolder": imagefolder,
}


def _from_files(recipe: DataRecipe, seed: int, log, name: str) -> Examples:
    return build(READERS[name].read(recipe, seed, log), recipe, seed, log)


DATASETS = {
    "trifeature": trifeature.load,
    **dict.fromkeys(cifar.CONSTRUCTIONS, cifar.load),
    **{name: partial(_from_files, name=name) for name in READERS},
}
ON_DISK = tuple(name for name in DATASETS if name != "trifeature")

__all__ = ["DATASETS", "LISTS", "READERS", "Examples", "Listing", "load_examples", "recognise", "rows_of_cells"]


def check_name(recipe: DataRecipe) -> None:
    """Raise RecipeError for an unknown data set, one on disk without a path, or an attribute that it has not."""
    if recipe.name not in DATASETS:
        raise RecipeError(f"unknown data set '{recipe.name}'; {nearest(recipe.name, DATASETS)} Or give a path.")
    if recipe.name in ON_DISK and not recipe.path:
        raise RecipeError(
            f"the data set '{recipe.name}' needs a path: {recipe.name}=PATH, in a recipe data.path. "
            f"A folder of that name is ./{recipe.name}."
        )
    for field, only in zip(("task", "group"), FIXED.get(recipe.name, ()), strict=False):
        if (asked := getattr(recipe, field)) not in ("", only):
            what = f"its {field} is always {only}" if only else "it declares no groups"
            raise RecipeError(
                f"data.{field} '{asked}': {recipe.name} has no such attribute, {what}. Leave it out; for others "
                "write a manifest."
            )


def load_examples(recipe: DataRecipe, seed: int, log) -> Examples:
    """The examples that the recipe names; raises RecipeError for an unknown name, DataError for bad data."""
    check_name(recipe)
    return DATASETS[recipe.name](recipe, seed, log)


def recognise(value: str) -> dict[str, str]:
    """Turn `--data NAME`, `PATH`, `NAME=PATH` or `hf:NAME` into recipe fields; a bare path is recognised."""
    return recognition.recognise(value, READERS, tuple(DATASETS))
