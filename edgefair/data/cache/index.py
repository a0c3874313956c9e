"""Which prepared images are there already: by what is inside the files, found fast by where they lie.

The array of a data set is named after the content of its images. To read them all at every start would take long, so
an index entry is kept for every place: these files, of these sizes and times of writing, have that content. Files
without one, copied or moved or touched, are read and hashed where some array was made of as many bytes, image by image.
"""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edgefair.data.cache.decode_pool import cores
from edgefair.data.cache.store import cache_folder
from edgefair.data.listing import Entry, FilePart
from edgefair.data.records import IndexEntry, Prepared
from edgefair.errors import DataError
from edgefair.files import digest, read_record, write_record
from edgefair.preprocess import VERSION, digest_of

CHUNK = 64  # images that are decoded and hashed together


def index_path(entries: list[Entry], size: int) -> Path:
    """The index entry of these files, named after place, size and time of writing of each, in order, and `size`."""
    stamps = hashlib.sha256(json.dumps([VERSION, size]).encode())
    for entry in entries:
        stamps.update(json.dumps(entry.image.stamp()).encode())
    return cache_folder() / f"seen-{stamps.hexdigest()[:24]}.json"


def content_key(digests: list[str], size: int) -> str:
    """The key of an array, from the digests of its chunks in order: everything that its pixels follow from."""
    return digest([VERSION, size, CHUNK, digests])


def array_of(key: str) -> Path:
    """Where the array of a content key lies."""
    return cache_folder() / f"files-{key[:24]}.npy"


def finished(array: Path) -> bool:
    """Whether an array is there, with what is to be known of it."""
    return array.exists() and array.with_suffix(".json").exists()


def lookup(index: Path) -> Path | None:
    """The array that an index entry names, where both are there."""
    entry = _read(index, IndexEntry)
    return array_of(entry.content) if entry and finished(array_of(entry.content)) else None


def lookup_by_content(index: Path, entries: list[Entry], size: int) -> Path | None:
    """The array that was made of the same images lying elsewhere, which is then indexed; None where there is none."""
    sizes = sizes_key(entries, size)
    known = (_read(about, Prepared) for about in cache_folder().glob("files-*.json"))
    if not any(one.sizes == sizes for one in known if one):
        return None
    key = content_key(_digests(entries), size)
    if not finished(array_of(key)):
        return None
    add(index, key)
    return array_of(key)


def add(index: Path, key: str) -> None:
    """Note in the index that files have the content of a key."""
    write_record(index, IndexEntry, {"schema": 1, "content": key})


def _read(path: Path, model):
    """A record of the cache; None where it is missing or damaged, for it is made again."""
    try:
        return read_record(path, model, "")
    except DataError:
        return None


def sizes_key(entries: list[Entry], size: int) -> str:
    """What two data sets of the same content agree in, and which takes no reading: the bytes of every image."""
    return digest([VERSION, size, [entry.image.size() for entry in entries]])


def _digests(entries: list[Entry]) -> list[str]:
    def one(at: int) -> str:
        return digest_of([entry.image.job() for entry in entries[at : at + CHUNK]])

    starts = range(0, len(entries), CHUNK)
    if not all(isinstance(entry.image, FilePart) for entry in entries):
        return [one(at) for at in starts]  # a table need not bear threads
    with ThreadPoolExecutor(cores()) as pool:
        return list(pool.map(one, starts))
