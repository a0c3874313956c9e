"""Decode every image once, on all cores, into the memory-mapped array that training, calibration and gate read.

Chunks of images are written into shards of some thousand as soon as they are decoded, and the finished shards are then
joined to one file: memory does not grow with the number of images, the disk holds them twice for a while, and a build
that was stopped or killed is resumed with the shards that it had not finished. Builds of the same images wait for each
other; the finished file appears under its name at once.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgefair.data.cache.decode_pool import in_parallel
from edgefair.data.cache.index import (
    CHUNK,
    add,
    array_of,
    content_key,
    index_path,
    lookup,
    lookup_by_content,
    sizes_key,
)
from edgefair.data.cache.shards import Shards
from edgefair.data.cache.store import mapped
from edgefair.data.listing import Entry
from edgefair.data.records import Prepared
from edgefair.errors import DataError, RunFolderError
from edgefair.files import read_record, write_record
from edgefair.log import Log


def prepared(entries: list[Entry], size: int, skip_broken: bool, log: Log) -> tuple[np.ndarray, dict[int, str], str]:
    """Images uint8 [K, 3, size, size] of the K entries that can be read, why the others cannot (index -> text), a hash.

    The hash is the same for the same content of all files, wherever they lie. Progress goes to `log`.

    Raises DataError at the first that cannot be read unless skip_broken, RunFolderError where the disk is full.
    """
    index = index_path(entries, size)
    final = lookup(index) or _found_or_built(index, entries, size, skip_broken, log)
    about = final.with_suffix(".json")
    remedy = f"Remove {about} and {final}; the images are prepared again."
    record = read_record(about, Prepared, remedy)
    if record.images != len(entries):
        raise DataError(f"{about}: images is {record.images}, there are {len(entries)}. {remedy}")
    broken = {int(at): why for at, why in record.broken.items()}
    if broken and not skip_broken:
        raise _broken(entries, broken)
    return mapped(final, len(entries) - len(broken), size), broken, final.stem


def _broken(entries: list[Entry], broken: dict[int, str]) -> DataError:
    at, why = min(broken.items())
    return DataError(
        f"{entries[at].where}: {why.rstrip('.')}. Replace the file, or go on without such rows with --skip-broken."
    )


def _found_or_built(index: Path, entries: list[Entry], size: int, skip_broken: bool, log: Log) -> Path:
    try:
        index.parent.mkdir(parents=True, exist_ok=True)
        with _alone(index.with_suffix(".lock"), log):
            return (
                lookup(index)  # another build may have finished while this one waited
                or lookup_by_content(index, entries, size)
                or _decode_all(index, entries, size, skip_broken, log)
            )
    except OSError as error:
        raise RunFolderError(
            f"cannot write {index}: {error.strerror or error}. Free some space or set EDGEFAIR_CACHE to a writable "
            "folder, then run the same command again; what was prepared is kept."
        ) from error


@contextlib.contextmanager
def _alone(path: Path, log: Log) -> Iterator[None]:
    """Hold the lock file; the system lets go of it when this process ends, however it ends."""
    from filelock import FileLock, Timeout  # not at the top: it takes as long to import as the rest of the package

    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.line("another process prepares the same images; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
    with contextlib.suppress(OSError):  # gone already, or another process holds it
        path.unlink()


def _decode_all(index: Path, entries: list[Entry], size: int, skip_broken: bool, log: Log) -> Path:
    shards = Shards(index.with_suffix(".shards"), len(entries), size)
    chunks = shards.chunks()
    with log.progress("preparing images", len(entries)) as advance:
        advance(len(entries) - sum(min(CHUNK, len(entries) - at) for at in chunks))
        tasks = ((at, *shards.place(at), [entry.image.job() for entry in entries[at : at + CHUNK]]) for at in chunks)
        for at, count, reasons, digest in in_parallel(tasks, size, len(chunks)):
            shards.add(at, digest, {at + position: why for position, why in reasons.items()})
            if shards.broken and not skip_broken:
                raise _broken(entries, shards.broken)
            advance(count)
    if broken := shards.broken:
        log.line(f"{len(broken)} images cannot be read, first: {entries[min(broken)].where}: {broken[min(broken)]}")
    whole = shards.folder / "array.npy"
    shards.write_array(whole)
    key = content_key([digest for _, digest in sorted(shards.digests.items())], size)
    final = array_of(key)
    about = {
        "schema": 1,
        "images": len(entries),
        "sizes": sizes_key(entries, size),
        "broken": dict(sorted(broken.items())),
    }
    write_record(final.with_suffix(".json"), Prepared, about)
    whole.replace(final)
    add(index, key)
    shards.remove()
    return final
