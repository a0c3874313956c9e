"""What a query holds: random pixels, or images of a folder, decoded before the clock starts or while it runs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgefair.errors import DataError
from edgefair.preprocess import VERSION, decode
from edgefair.runtimes import Runtime
from edgefair.seeds import generator

SUFFIXES = (".jpg", ".jpeg", ".png")
POOL = 64  # different images; queries take them in turn


@dataclass(frozen=True)
class Queries:
    """Queries for every batch size: `call_of(runtime, batch)(i)` answers the i-th.

    images: uint8 [N, 3, S, S]. paths: the files that a query decodes itself, none where that is not timed.
    """

    images: np.ndarray
    paths: tuple[Path, ...] = ()
    source: str = "given"

    def call_of(self, runtime: Runtime, batch: int) -> Callable[[int], object]:
        """A function that answers the i-th query of `batch` images with this runtime."""
        if self.paths:
            return lambda i: runtime.predict(self._decoded(i, batch))
        parts = [self._part(i, batch) for i in range(-(-len(self.images) // batch))]
        return lambda i: runtime.predict(parts[i % len(parts)])

    def _part(self, i: int, batch: int) -> np.ndarray:
        rows = np.arange(i * batch, (i + 1) * batch) % len(self.images)
        return np.ascontiguousarray(self.images[rows])

    def _decoded(self, i: int, batch: int) -> np.ndarray:
        size = self.images.shape[-1]
        return np.stack([decode(self.paths[j % len(self.paths)], size) for j in range(i * batch, (i + 1) * batch)])

    def about(self) -> dict:
        """Whether decoding and resizing is in the times, as JSON values."""
        return {
            "included": bool(self.paths),
            "what": f"decode, resize and crop, edgefair preprocess {VERSION}"
            if self.paths
            else "none: pixels in memory",
            "images": len(self.images),
            "size": self.images.shape[-1],
            "source": self.source,
        }


def random_queries(size: int, seed: int) -> Queries:
    """Pixels by seed: a convolution takes as long for these as for any."""
    pixels = generator(seed, "bench", "pixels").integers(0, 256, (POOL, 3, size, size), dtype=np.uint8)
    return Queries(pixels, source="random pixels")


def folder_queries(folder: Path, size: int, timed: bool) -> Queries:
    """The first images of a folder by name; timed: each query decodes and resizes its own. Raises DataError."""
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; --images takes a folder with JPEG or PNG files.")
    paths = tuple(sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)[:POOL])
    if not paths:
        raise DataError(f"{folder} holds no JPEG or PNG file ({', '.join(SUFFIXES)}).")
    images = np.stack([decode(path, size) for path in paths])
    return Queries(images, paths if timed else (), source=f"{len(paths)} files of {folder.name}")
