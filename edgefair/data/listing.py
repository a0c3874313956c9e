"""What a reader of image files gives: one entry an image, not decoded yet, and what is known of all of them."""

import math
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from edgefair.errors import DataError

# Common words for the splits.
_SPLIT_WORDS = {
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "test": "gate",
    "testing": "gate",
    "calib": "calibration",
}
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
ALL = ("all",)  # the groups of data that declare none


def normalize_split(word: str) -> str:
    """The split that a word such as `val` or `test` means; another word stays as it is, in lower case."""
    word = word.strip().lower()
    return _SPLIT_WORDS.get(word, word)


def natural(text: str) -> tuple:
    """A key that sorts by the numbers in a text: img2 before img10."""
    parts = re.split(r"([0-9]+)", text)
    return tuple((part, 0) if at % 2 == 0 else ("", int(part)) for at, part in enumerate(parts))


@dataclass(frozen=True, slots=True)
class FilePart:
    """An image file, or `length` bytes of a larger file from `offset` on, such as a member of a tar shard."""

    path: str
    offset: int = 0
    length: int = -1  # the whole file

    def missing(self) -> bool:
        """Whether there is no such file."""
        return not os.path.isfile(self.path)

    def stamp(self) -> tuple:
        """What changes where the content does: place, size and time of writing."""
        status = os.stat(self.path)
        return (os.path.abspath(self.path), self.offset, self.length, status.st_size, status.st_mtime_ns)

    def size(self) -> int:
        """Number of its bytes."""
        return self.length if self.length >= 0 else os.stat(self.path).st_size

    def job(self) -> tuple[str, int, int]:
        """What a process needs to read it."""
        return (self.path, self.offset, self.length)

    def __str__(self) -> str:
        return self.path if self.length < 0 else f"{self.path} (from byte {self.offset})"


class Table(Protocol):
    """Something that holds encoded images by row; `key` names its content."""

    key: str

    def content(self, row: int) -> bytes:
        """The encoded image of a row."""


@dataclass(frozen=True, slots=True)
class Held:
    """An encoded image in a row of a table."""

    table: Table
    row: int

    def missing(self) -> bool:
        """Never: the table has the row."""
        return False

    def stamp(self) -> tuple:
        """What changes where the content does."""
        return (self.table.key, self.row)

    def size(self) -> int:
        """Not known without reading it: -1."""
        return -1

    def job(self) -> bytes:
        """The encoded image itself: a table stays in its process."""
        return self.table.content(self.row)

    def __str__(self) -> str:
        return f"of row {self.row}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One image: where it is, what it shows, and where it says it belongs (a split's name, or empty)."""

    image: FilePart | Held
    label: str
    group: str  # empty: unknown
    id: str
    where: str  # for messages: file and row
    split: str = ""
    identity: str = ""
    soft_group: float = math.nan


@dataclass(frozen=True)
class Listing:
    """All entries of a data set; names are declared in order, or empty: those found. `about` goes into the report.

    left_out  why entries were left out -> a description of each
    """

    entries: list[Entry]
    about: dict
    class_names: tuple[str, ...] = ()
    group_names: tuple[str, ...] = ()
    left_out: dict[str, list[str]] = field(default_factory=dict)


def image_files(folder: Path) -> list[str]:
    """Paths of the images in a folder and below, relative to it, in natural order; hidden files are not images."""
    found = []
    for place, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        inside = os.path.relpath(place, folder)
        for name in files:
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                found.append(name if inside == "." else os.path.join(inside, name))
    return sorted(found, key=natural)


def first_folder(path: Path, inside: tuple[str, ...], holds: str) -> Path | None:
    """`path` or the first of its folders `inside` that holds a file or folder of this name; None where none does."""
    for folder in (Path(path), *(Path(path) / name for name in inside)):
        if (folder / holds).exists():
            return folder
    return None


def needed_folder(path: Path, inside: tuple[str, ...], holds: str, what: str) -> Path:
    """The same, or DataError that says where it was looked for; `what` is whose files these are, for the message.

    path, inside, holds: as `first_folder` takes them.
    """
    folder = first_folder(path, inside, holds)
    if folder is None:
        raise DataError(
            f"no {what} in {path}: neither it nor a folder {' or '.join(inside)} in it holds {holds}. Unpack the "
            "author's files there, or correct data.path."
        )
    return folder
