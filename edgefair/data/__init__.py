"""Data sets: a table of readers, each giving Examples with five disjoint splits."""

from collections.abc import Callable
from functools import partial

from edgefair.data import detect as recognition
from edgefair.data.build import build
from edgefair.data.calibration import rows_of_cells
from edgefair.data.dataset import SPLITS, Examples
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
from edgefair.errors import RecipeError
from edgefair.log import Log
from edgefair.recipe.data_base import DataSettings, ImageFileSettings, StoredSettings

# Readers of image files, in the order in which a folder is recognised, the last the loosest: `read` gives a Listing,
# `recognize` says whether a folder is of its kind. Settings, their defaults and fixed attributes are in recipe/data.py.
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


def _from_files(settings: ImageFileSettings, seed: int, log: Log, name: str) -> Examples:
    return build(READERS[name].read(settings, seed, log), settings, seed, log)


DATASETS: dict[str, Callable[..., Examples]] = {
    "trifeature": trifeature.load,
    **dict.fromkeys(cifar.CONSTRUCTIONS, cifar.load),
    **{name: partial(_from_files, name=name) for name in READERS},
}

__all__ = ["DATASETS", "READERS", "SPLITS", "Examples", "Listing", "load_examples", "recognize", "rows_of_cells"]


def check_settings(settings: DataSettings) -> None:
    """Raise RecipeError for a data set on disk without a path, or an attribute that it has not."""
    if isinstance(settings, StoredSettings) and not settings.path:
        raise RecipeError(
            f"the data set '{settings.name}' needs a path: {settings.name}=PATH, in a recipe data.path. "
            f"A folder of that name is ./{settings.name}."
        )
    for field, only in zip(("task", "group"), settings.only or (), strict=False):
        if (asked := getattr(settings, field)) not in ("", only):
            what = f"its {field} is always {only}" if only else "it declares no groups"
            raise RecipeError(
                f"data.{field} '{asked}': {settings.name} has no such attribute, {what}. Leave it out; for others "
                "write a manifest."
            )


def load_examples(settings: DataSettings, seed: int, log: Log) -> Examples:
    """The examples that [data] names; raises RecipeError for settings that do not fit it, DataError for bad data."""
    check_settings(settings)
    return DATASETS[settings.name](settings, seed, log)


def recognize(value: str) -> dict[str, str]:
    """Turn `--data NAME`, `PATH`, `NAME=PATH` or `hf:NAME` into recipe fields; a bare path is recognised."""
    return recognition.recognize(value, READERS, tuple(DATASETS))
