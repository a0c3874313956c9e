"""The unfinished array of a data set as shards: a file that is there under its name is finished.

A shard holds the images of some thousand rows as bytes, and behind them a JSON object: the digest of each chunk, and
why some images, left black, could not be read. It is written under another name, flushed, and renamed.
"""

import json
import os
import shutil
from pathlib import Path

from edgefair.data.cache.index import CHUNK
from edgefair.data.cache.store import write_header
from edgefair.data.records import ShardEnd

SHARD = 32 * CHUNK  # images of a shard: so many are decoded again for each shard that was unfinished


class Shards:
    """The shards of `rows` images uint8 [3, size, size] in a folder, those of an earlier process included.

    digests  the digests of the finished shards' chunks, by the chunk's first row
    broken   row -> why it cannot be read, in finished shards
    """

    def __init__(self, folder: Path, rows: int, size: int):
        self.folder, self.rows, self.size, self.image_bytes = folder, rows, size, 3 * size * size
        self.digests: dict[int, str] = {}
        self.broken: dict[int, str] = {}
        folder.mkdir(exist_ok=True)
        for unfinished in folder.glob("*.part"):  # of a process that ended before
            unfinished.unlink()
        self.waiting = {first: self._chunks(first) for first in range(0, rows, SHARD) if not self._take(first)}

    def chunks(self) -> list[int]:
        """First rows of the chunks that are to be decoded, in order."""
        return [at for chunks in self.waiting.values() for at in chunks]

    def place(self, at: int) -> tuple[Path, int]:
        """The file, which is made if need be, and the byte in it where the images of a chunk are to be written."""
        first = at - at % SHARD
        part = self._part(first)
        part.touch()
        return part, (at - first) * self.image_bytes

    def add(self, at: int, digest: str, broken: dict[int, str]) -> None:
        """Note a chunk whose images were written; with its last chunk a shard is finished."""
        first = at - at % SHARD
        self.digests[at] = digest
        self.broken |= broken
        self.waiting[first].remove(at)
        if not self.waiting[first]:
            del self.waiting[first]
            self._finish(first)

    def write_array(self, path: Path) -> None:
        """Write the images of all shards but the broken ones as one .npy file, an image at a time."""
        with open(path, "wb") as array:
            write_header(array, self.rows - len(self.broken), self.size)
            for first in range(0, self.rows, SHARD):
                with open(self._file(first), "rb") as shard:
                    for row in range(first, min(first + SHARD, self.rows)):
                        image = shard.read(self.image_bytes)
                        if row not in self.broken:
                            array.write(image)
            array.flush()
            os.fsync(array.fileno())

    def remove(self) -> None:
        """Remove all shards."""
        shutil.rmtree(self.folder)

    def _chunks(self, first: int) -> list[int]:
        return list(range(first, min(first + SHARD, self.rows), CHUNK))

    def _file(self, first: int) -> Path:
        return self.folder / f"{first}-{min(first + SHARD, self.rows)}"  # another size of shards has other names

    def _part(self, first: int) -> Path:
        return self._file(first).with_suffix(".part")

    def _finish(self, first: int) -> None:
        chunks = self._chunks(first)
        broken = {row: why for row, why in self.broken.items() if first <= row < first + SHARD}
        about = {"digests": [self.digests[at] for at in chunks], "broken": broken}
        with open(self._part(first), "ab") as store:
            store.write(json.dumps(about).encode())
            store.flush()
            os.fsync(store.fileno())
        self._part(first).replace(self._file(first))

    def _take(self, first: int) -> bool:
        """Whether a shard is there and whole; its digests and broken images are then noted."""
        try:
            with open(self._file(first), "rb") as store:
                store.seek((min(first + SHARD, self.rows) - first) * self.image_bytes)
                end = ShardEnd.model_validate_json(store.read())
            digests = dict(zip(self._chunks(first), end.digests, strict=True))
        except (OSError, ValueError):
            return False
        self.digests |= digests
        self.broken |= {int(row): why for row, why in end.broken.items()}
        return True
