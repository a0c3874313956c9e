"""Data sets: a table of readers, each giving Examples with five disjoint lists of rows."""

from pathlib import Path

from edgefair.data import cifar, fairface, manifest, trifeature
from edgefair.data.cifar_files import LAYOUTS, find_folder
from edgefair.data.examples import LISTS, Examples, balanced_rows
from edgefair.errors import DataError, RecipeError, nearest
from edgefair.recipe import DataRecipe

DATASETS = {
    "trifeature": trifeature.load,
    "manifest": manifest.load,
    "fairface": fairface.load,
    **dict.fromkeys(cifar.CONSTRUCTIONS, cifar.load),
}
ON_DISK = tuple(name for name in DATASETS if name != "trifeature")

__all__ = ["DATASETS", "LISTS", "Examples", "balanced_rows", "load_examples", "recognise"]


def load_examples(recipe: DataRecipe, seed: int, log) -> Examples:
    """The examples that the recipe names; raises RecipeError for an unknown name, DataError for bad data."""
    if recipe.name not in DATASETS:
        raise RecipeError(f"unknown data set '{recipe.name}'; {nearest(recipe.name, DATASETS)} Or give a path.")
    if recipe.name in ON_DISK and not recipe.path:
        raise RecipeError(f"the data set '{recipe.name}' needs data.path (or --data {recipe.name}=PATH).")
    return DATASETS[recipe.name](recipe, seed, log)


def recognise(value: str) -> dict[str, str]:
    """Turn `--data NAME`, `PATH` or `NAME=PATH` into recipe fields; a bare path is recognised by what lies there."""
    path = Path(value)
    if value in DATASETS:
        return {"name": value}
    name, equals, rest = value.partition("=")
    if equals and not path.exists():
        return _named(name, rest)
    if path.is_dir():
        return _folder(path)
    if path.suffix.lower() == ".csv" or path.exists():
        return {"name": "manifest", "path": value}
    raise RecipeError(f"--data '{value}' is neither a data set nor an existing path; {nearest(value, DATASETS)}")


def _named(name: str, path: str) -> dict[str, str]:
    if name not in ON_DISK:
        why = "is made on the spot and takes no path" if name in DATASETS else "is no data set on disk"
        raise RecipeError(f"--data {name}={path}: '{name}' {why}; {nearest(name, ON_DISK)}")
    if not Path(path).exists() or not path:
        raise DataError(f"--data {name}={path}: there is no file or folder '{path}'. Correct the path after the '='.")
    if name == "manifest" and Path(path).is_dir():
        path = str(Path(path) / "manifest.csv")
    return {"name": name, "path": path}


def _folder(path: Path) -> dict[str, str]:
    signs = {"fairface": "fairface_label_train.csv", "manifest": "manifest.csv"}
    found = [name for name, sign in signs.items() if (path / sign).is_file()]
    found += [name for name in LAYOUTS if find_folder(path, name)]
    if not found:
        batches = " or ".join(layout.folder for layout in LAYOUTS.values())
        raise DataError(
            f"the folder {path} is of no known kind: no {' and no '.join(signs.values())} in it, and no batches of "
            f"{batches}."
        )
    if len(found) > 1:
        raise DataError(f"the folder {path} holds {' and '.join(found)}; say which with --data NAME={path}.")
    return _named(found[0], str(path))
