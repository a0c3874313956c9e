"""ImageNet (ILSVRC 2012): train/WNID/*.JPEG, and validation images in folders of classes or named by a list.

Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge" (IJCV 2015). Terms: non-commercial research and
education only. The folder has train and val, itself or as ILSVRC/Data/CLS-LOC. val holds a folder for each class (as
torchvision and timm expect) or all images, with the published LOC_val_solution.csv at the top; LOC_synset_mapping.txt
names the classes where it is there. Validation images are the gate rows, since the test images have no labels; the
other splits are drawn from the training images. There are no groups.
"""

import re
from pathlib import Path

from edgefair.data.listing import ALL, Entry, FilePart, Listing, image_files
from edgefair.data.readers.wordnet import read_lines, readable
from edgefair.data.tables import read_rows
from edgefair.errors import DataError
from edgefair.log import Log
from edgefair.recipe.data import ImagenetSettings

TERMS = "non-commercial research and education only; cite Russakovsky et al., IJCV 2015"
_INSIDE = (".", "ILSVRC/Data/CLS-LOC", "Data/CLS-LOC")
_WNID = re.compile(r"n\d{8}")
_SOLUTION, _MAPPING = "LOC_val_solution.csv", "LOC_synset_mapping.txt"


def _classes(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if _WNID.fullmatch(p.name)) if folder.is_dir() else []


def _images(path: Path) -> Path | None:
    return next((path / inside for inside in _INSIDE if _classes(path / inside / "train")), None)


def recognize(path: Path) -> bool:
    """Whether there are folders of training images named by WordNet ids, and no list of Tiny ImageNet."""
    return _images(path) is not None and not (path / "wnids.txt").exists()


def read(settings: ImagenetSettings, seed: int, log: Log) -> Listing:
    """The entries of the folder `settings.path`; raises DataError naming what is missing or wrong."""
    root = Path(settings.path)
    folder = _images(root)
    if folder is None:
        raise DataError(f"no ImageNet in {root}: there is no folder train with folders such as n01440764 in it.")
    classes = _classes(folder / "train")
    mapping = root / _MAPPING
    words = dict(line.partition(" ")[::2] for _, line in read_lines(mapping)) if mapping.is_file() else {}
    names = readable(classes, words)
    entries = _in_folders(folder / "train", names, "")
    entries += _in_folders(folder / "val", names, "gate") or _solved(root, folder / "val", names)
    about = {"name": "imagenet", "source": str(root), "terms": TERMS}
    return Listing(entries, about, tuple(names.values()), ALL)


def _in_folders(place: Path, names: dict[str, str], part: str) -> list[Entry]:
    unknown = sorted(set(_classes(place)) - names.keys())
    if unknown:
        raise DataError(f"{place / unknown[0]}: there are no training images of this class.")
    found = []
    for wnid in _classes(place):
        for file in image_files(place / wnid):
            where = f"{place.name}/{wnid}/{file}"
            found.append(Entry(FilePart(str(place / wnid / file)), names[wnid], ALL[0], where, where, part))
    return found


def _solved(root: Path, place: Path, names: dict[str, str]) -> list[Entry]:
    """Validation images in one folder, by the list of their classes."""
    if not (root / _SOLUTION).is_file():
        raise DataError(
            f"{place} has no folders of classes, and {root} no {_SOLUTION} to tell them. Put each validation image in "
            "a folder of its class, as in train, or the published list there."
        )
    found = []
    for where, row in read_rows(root / _SOLUTION, ("ImageId", "PredictionString"), "the list"):
        wnid = row["PredictionString"].split(" ")[0]
        if wnid not in names:
            raise DataError(f"{where}: there are no training images of class '{wnid}'.")
        image = FilePart(str(place / f"{row['ImageId']}.JPEG"))
        found.append(Entry(image, names[wnid], ALL[0], f"val/{row['ImageId']}", where, "gate"))
    return found
