"""A folder of class folders, [train|val|test/]CLASS/[GROUP/]*.jpg: the layout of torchvision's ImageFolder.

Folders train, val and test (other common words too) are the splits; without them rows are drawn by seed. With
`data.group=folder` the folder under the class is the group (`unknown` is unknown); otherwise there are no groups. The
terms of the images are the owner's.
"""

from pathlib import Path
from typing import Any

from edgefair.data.dataset import SPLITS
from edgefair.data.listing import ALL, Entry, FilePart, Listing, image_files, normalize_split
from edgefair.errors import DataError, RecipeError
from edgefair.log import Log
from edgefair.recipe.data import ImagefolderSettings

TERMS = "those of the images' owner"


def _parts(path: Path) -> dict[str, Path]:
    """Split -> folder; an empty name for the whole where no folder is named like a split."""
    folders = sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))
    return {normalize_split(p.name): p for p in folders if normalize_split(p.name) in SPLITS} or {"": path}


def recognize(path: Path) -> bool:
    """Whether two or more folders, of the whole or of a part, hold images."""
    for folder in _parts(path).values():
        classes = [p for p in folder.iterdir() if p.is_dir()]
        if sum(next(iter(image_files(p)), None) is not None for p in classes[:2]) == 2:
            return True
    return False


def read(settings: ImagefolderSettings, seed: int, log: Log) -> Listing:
    """The entries of the folder `settings.path`; raises DataError or RecipeError naming what is missing or wrong."""
    if settings.group not in ("", "folder"):
        raise RecipeError(
            f"data.group '{settings.group}': the groups of an imagefolder are the folders under the class (--group "
            "folder), or there are none. For other attributes write a manifest."
        )
    root, entries, depths = Path(settings.path), [], set()
    if not root.is_dir():
        raise DataError(f"{root} is no folder; an imagefolder has a folder for each class.")
    for part, folder in _parts(root).items():
        for file in image_files(folder):
            label, *inside = Path(file).parent.parts
            depths.add(len(inside))
            where = f"{folder.name}/{file}" if part else file
            if not label or (settings.group and len(inside) != 1):
                raise DataError(f"{where} lies in no folder of a class{' and a group' if settings.group else ''}.")
            group = inside[0] if settings.group else ALL[0]
            group = "" if group == "unknown" else group
            entries.append(Entry(FilePart(str(folder / file)), label, group, where, where, part))
    about: dict[str, Any] = {"name": "imagefolder", "source": str(root), "terms": TERMS}
    if not settings.group and depths == {1}:
        about["may_be_groups"] = ["folder"]
    return Listing(entries, about, settings.classes, settings.groups if settings.group else ALL)
