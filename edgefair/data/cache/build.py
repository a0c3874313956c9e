"""Decode every image once, on all cores, into the memory-mapped array that training, calibration and gate read.

A chunk of images is written to its place in one file as soon as it is decoded, and then noted in a journal: memory does
not grow with the number of images, and a build that was stopped or killed goes on where it was. Builds of the same
images wait for each other; the finished file appears under its name at once.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgefair.data.cache.decode_pool import in_parallel
from edgefair.data.cache.index import CHUNK, array_of, content_key, note_of, noted, same_content, sizes_key
from edgefair.data.cache.journal import Journal
from edgefair.data.cache.store import mapped, write_header
from edgefair.data.listing import Entry
from edgefair.errors import DataError, RunFolderError
from edgefair.files import write_json


def prepared(entries: list[Entry], size: int, skip_broken: bool, log) -> tuple[np.ndarray, dict[int, str], str]:
    """Images uint8 [K, 3, size, size] of the K entries that can be read, why the others cannot (index -> text), a hash.

    The hash is the same for the same content of all files, wherever they lie.

    Raises DataError at the first that cannot be read unless skip_broken, RunFolderError where the disk is full.
    """
    note = note_of(entries, size)
    final = noted(note) or _found_or_built(note, entries, size, skip_broken, log)
    broken = {int(at): why for at, why in json.loads(final.with_suffix(".json").read_text())["broken"].items()}
    if broken and not skip_broken:
        _refuse(entries, broken)
    return mapped(final, len(entries) - len(broken), size), broken, final.stem


def _refuse(entries: list[Entry], broken: dict[int, str]) -> None:
    at, why = min(broken.items())
    raise DataError(
        f"{entries[at].where}: {why.rstrip('.')}. Replace the file, or go on without such rows with --skip-broken."
    )


def _found_or_built(note: Path, entries: list[Entry], size: int, skip_broken: bool, log) -> Path:
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        with _alone(note.with_suffix(".lock"), log):
            return (
                noted(note)  # another build may have finished while this one waited
                or same_content(note, entries, size)
                or _decode_all(note, entries, size, skip_broken, log)
            )
    except OSError as error:
        raise RunFolderError(
            f"cannot write {note}: {error.strerror or error}. Free some space or set EDGEFAIR_CACHE to a writable "
            "folder, then run the same command again; what was prepared is kept."
        ) from error


@contextlib.contextmanager
def _alone(path: Path, log) -> Iterator[None]:
    """Hold the lock file; the system lets go of it when this process ends, however it ends."""
    with open(path, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.line("another process prepares the same images; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
        path.unlink(missing_ok=True)


def _decode_all(note: Path, entries: list[Entry], size: int, skip_broken: bool, log) -> Path:
    part, journal_file, image_bytes = note.with_suffix(".part"), note.with_suffix(".journal"), 3 * size * size
    start = _open_part(part, len(entries), size)
    with Journal(journal_file, part) as journal:
        done = journal.read()
        starts = [at for at in range(0, len(entries), CHUNK) if at not in done]
        digests = {at: digest for at, (_, digest) in done.items()}
        broken = {int(at): why for reasons, _ in done.values() for at, why in reasons.items()}
        with log.progress("preparing images", len(entries)) as advance:
            advance(len(entries) - sum(min(CHUNK, len(entries) - at) for at in starts))
            orders = (
                (at, start + at * image_bytes, [entry.image.job() for entry in entries[at : at + CHUNK]])
                for at in starts
            )
            for at, count, reasons, digest in in_parallel(part, size, orders, len(starts)):
                reasons = {at + position: why for position, why in reasons.items()}
                journal.add(at, reasons, digest)
                digests[at] = digest
                broken |= reasons
                if reasons and not skip_broken:
                    _refuse(entries, reasons)
                advance(count)
    whole = part
    if broken:
        log.line(f"{len(broken)} images cannot be read, first: {entries[min(broken)].where}: {broken[min(broken)]}")
        whole = _without(part, len(entries), size, sorted(broken))
    key = content_key([digests[at] for at in sorted(digests)], size)
    final = array_of(key)
    about = {"images": len(entries), "sizes": sizes_key(entries, size), "broken": broken}
    write_json(final.with_suffix(".json"), about)
    with open(whole, "rb") as store:
        os.fsync(store.fileno())
    whole.replace(final)
    write_json(note, {"content": key})
    for leftover in (part, journal_file):
        leftover.unlink(missing_ok=True)
    return final


def _open_part(part: Path, rows: int, size: int) -> int:
    """Make the unfinished file, at its full length but without content, if it is not there; returns where it starts."""
    if not part.exists():
        part.with_suffix(".journal").unlink(missing_ok=True)  # it speaks of a file that is gone
        empty = part.with_suffix(".empty")
        with open(empty, "wb") as store:
            start = write_header(store, rows, size)
            store.truncate(start + rows * 3 * size * size)
        empty.replace(part)
    with open(part, "rb") as store:
        np.lib.format.read_magic(store)
        np.lib.format.read_array_header_1_0(store)
        return store.tell()


def _without(part: Path, rows: int, size: int, broken: list[int]) -> Path:
    """A copy of the file without the rows that could not be read, written a chunk at a time."""
    whole, packed = mapped(part, rows, size), part.with_suffix(".packed")
    with open(packed, "wb") as store:
        write_header(store, rows - len(broken), size)
        kept = np.setdiff1d(np.arange(rows), broken)
        for at in range(0, len(kept), CHUNK):
            store.write(whole[kept[at : at + CHUNK]].data)
    return packed
