"""Tiny ImageNet as published: wnids.txt, words.txt, train/WNID/images, val/images and val/val_annotations.txt.

Wu, Zhang and Xu, "Tiny ImageNet Challenge" (Stanford CS 231N, 2017): 200 classes of ImageNet at 64 x 64, some of them
grey. Terms: those of ImageNet, non-commercial research and education only. The published validation images are the gate
rows, since the test images have no labels; the other splits are drawn from the training images. There are no groups.
"""

from pathlib import Path

from edgefair.data.listing import ALL, Entry, FilePart, Listing, image_files, needed_folder
from edgefair.data.readers.wordnet import read_lines, readable
from edgefair.errors import DataError, nearest
from edgefair.log import Log
from edgefair.recipe.data import TinyImagenetSettings

TERMS = "non-commercial research and education only (ImageNet); cite Wu, Zhang and Xu, Tiny ImageNet Challenge"
_NAME = "tiny-imagenet-200"


def recognize(path: Path) -> bool:
    """Whether the list of classes lies in a folder or in the author's one."""
    return any((folder / "wnids.txt").is_file() for folder in (path, path / _NAME))


def read(settings: TinyImagenetSettings, seed: int, log: Log) -> Listing:
    """The entries of the folder `settings.path`; raises DataError naming what is missing or wrong."""
    folder = needed_folder(Path(settings.path), (_NAME,), "wnids.txt", "Tiny ImageNet")
    classes = [line for _, line in read_lines(folder / "wnids.txt")]
    words = dict(line.partition("\t")[::2] for _, line in read_lines(folder / "words.txt"))
    names = readable(classes, words)
    entries = []
    for wnid in classes:
        place = folder / "train" / wnid / "images"
        files = image_files(place)
        if not files:
            raise DataError(f"there are no images of {wnid} in {place}. Unpack the archive again, whole.")
        entries += [Entry(FilePart(str(place / file)), names[wnid], ALL[0], file, f"train/{file}") for file in files]
    place = folder / "val"
    for where, line in read_lines(place / "val_annotations.txt"):
        file, wnid = (*line.split("\t"), "", "")[:2]
        if wnid not in names:
            raise DataError(f"{where}: '{wnid}' is no class of {file}; {nearest(wnid, classes[:20])}")
        image = FilePart(str(place / "images" / file))
        entries.append(Entry(image, names[wnid], ALL[0], file, where, "gate"))
    about = {"name": "tinyimagenet", "source": str(folder), "terms": TERMS}
    return Listing(entries, about, tuple(names.values()), ALL)
