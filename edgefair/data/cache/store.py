"""Prepared images on disk: one uint8 .npy per content and size, memory-mapped, shared by all runs."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from edgefair.errors import DataError
from edgefair.files import atomic_path
from edgefair.log import Log


def cache_folder() -> Path:
    """Where prepared images are kept: $EDGEFAIR_CACHE, else `edgefair` in the user's cache folder."""
    if named := os.environ.get("EDGEFAIR_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgefair"


def cached_images(key: str, rows: int, size: int, blocks: Iterable[np.ndarray], log: Log) -> np.ndarray:
    """The memory-mapped uint8 [rows, 3, size, size] kept under `key`.

    Made from `blocks`, uint8 [any, 3, size, size], where it is not there yet, with progress in `log`.
    """
    path = cache_folder() / f"{key}.npy"
    if not path.exists():
        _build(path, rows, size, blocks, log)
    return mapped(path, rows, size)


def mapped(path: Path, rows: int, size: int) -> np.ndarray:
    """The images uint8 [rows, 3, size, size] of a file, read where they lie; raises DataError where it holds others."""
    try:
        # A plain view: every slice of NumPy's own class for memory maps costs more than the copy of a small batch.
        images = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (ValueError, OSError) as error:
        raise DataError(f"the cached images {path} cannot be read ({error}). Remove the file.") from None
    if images.shape != (rows, 3, size, size) or images.dtype != np.uint8:
        raise DataError(
            f"the cached images {path} are {images.dtype} {images.shape}, not what was put there. Remove the file."
        )
    return images


def write_header(store: BinaryIO, rows: int, size: int) -> int:
    """Begin a .npy file of uint8 [rows, 3, size, size]; returns the byte at which the images start."""
    shape = {"descr": "|u1", "fortran_order": False, "shape": (rows, 3, size, size)}
    np.lib.format.write_array_header_1_0(store, shape)
    return store.tell()


def _build(path: Path, rows: int, size: int, blocks: Iterable[np.ndarray], log: Log) -> None:
    # Written as a stream, not through a memory map: on a full disk a map ends the process with a bus error.
    with (
        atomic_path(path) as temporary,
        open(temporary, "wb") as store,
        log.progress("preparing images", rows) as advance,
    ):
        write_header(store, rows, size)
        done = 0
        for block in blocks:
            store.write(np.ascontiguousarray(block, dtype=np.uint8).data)
            done += len(block)
            advance(len(block))
        if done != rows:
            raise DataError(f"{done} images were prepared where {rows} were announced.")
