"""The gate rows as every runtime on every device gets them: images with what belongs to them, in one file.

    gate.npz    header (JSON: schema, names, hashes), ids, labels, groups, identities where known, images

The images are stored as they are, not compressed, so that a device maps them instead of loading them.
"""

import hashlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgefair.data import Examples
from edgefair.errors import DataError
from edgefair.files import atomic_path, digest
from edgefair.predictions import UNREADABLE, LabelledRows, Predictions, why_unreadable

SCHEMA = 1
_IMAGES = "images.npy"
_CHUNK = 256  # images held in memory at a time


@dataclass(frozen=True, kw_only=True)
class GateRows(LabelledRows):
    """The rows `rows` of `images`, uint8 [M, 3, S, S], in order."""

    images: np.ndarray
    rows: np.ndarray
    rows_sha256: str
    data_sha256: str

    @staticmethod
    def of(examples: Examples) -> "GateRows":
        """The gate split of a data set, with its hashes."""
        rows = examples.rows["gate"]
        return GateRows(
            images=examples.images,
            rows=rows,
            **examples.columns(rows),
            rows_sha256=digest(examples.ids[rows].tolist()),
            data_sha256=pixels_sha256(examples.images, rows),
        )

    def part(self, first: int, end: int) -> "GateRows":
        """The rows first .. end - 1, with hashes of their own."""
        columns = self.columns(slice(first, end))
        rows = self.rows[first:end]
        return GateRows(
            images=self.images,
            rows=rows,
            **columns,
            rows_sha256=digest(columns["ids"].tolist()),
            data_sha256=pixels_sha256(self.images, rows),
        )

    def predictions(self, logits: np.ndarray, about: dict) -> Predictions:
        """Logits of these rows as Predictions, with the hashes that say of which rows and images."""
        about = {**about, "rows_sha256": self.rows_sha256, "data_sha256": self.data_sha256}
        return Predictions(**self.columns(), logits=logits, about=about)

    def save(self, path: Path) -> None:
        """Write one .npz file atomically, with no more than a few images in memory."""
        header = {name: getattr(self, name) for name in ("class_names", "group_names", "rows_sha256", "data_sha256")}
        arrays: dict[str, Any] = {
            "header": np.array(json.dumps({"schema": SCHEMA, **header})),
            "ids": self.ids.astype(np.str_),
        }
        arrays |= {"labels": self.labels.astype(np.int64), "groups": self.groups.astype(np.int64)}
        if self.identities is not None:
            arrays["identities"] = self.identities.astype(np.str_)
        with atomic_path(path) as temporary:
            with open(temporary, "wb") as stream:
                np.savez(stream, **arrays)
            with zipfile.ZipFile(temporary, "a") as archive, archive.open(_IMAGES, "w", force_zip64=True) as stream:
                shape = (len(self.rows), *self.images.shape[1:])
                what = {"descr": "|u1", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(stream, what)
                for start in range(0, len(self.rows), _CHUNK):
                    stream.write(np.ascontiguousarray(self.images[self.rows[start : start + _CHUNK]]).data)

    @staticmethod
    def load(path: Path) -> "GateRows":
        """Map a file written by `save`; raises DataError where it is missing, damaged or of another schema."""
        try:
            return _load(Path(path))
        except DataError as error:
            raise DataError(f"{path}: {error} Make the kit again with edgefair bundle.") from None
        except UNREADABLE as error:
            raise DataError(
                f"{path} is not a readable file of gate images ({why_unreadable(error)}). Make the kit again with "
                "edgefair bundle."
            ) from error


def _load(path: Path) -> GateRows:
    with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as stored:
        header = json.loads(str(stored["header"]))
        if header["schema"] != SCHEMA:
            raise DataError(f"the gate rows have schema {header['schema']}; this version reads {SCHEMA}.")
        arrays: dict[str, Any] = {
            name: stored[name] for name in ("ids", "labels", "groups", "identities") if name in stored
        }
    images = _mapped(path)
    names: dict[str, Any] = {name: tuple(header[name]) for name in ("class_names", "group_names")}
    hashes: dict[str, Any] = {name: str(header[name]) for name in ("rows_sha256", "data_sha256")}
    rows = np.arange(len(images))
    gate = GateRows(images=images, rows=rows, **arrays, **names, **hashes)
    gate.check_columns("gate rows")
    if len(gate.ids) != len(images):
        raise DataError(f"damaged: there are {len(gate.ids)} ids and {len(images)} images.")
    now = {"rows_sha256": digest(gate.ids.tolist()), "data_sha256": pixels_sha256(images, rows)}
    for name, value in now.items():
        if value != hashes[name]:
            raise DataError(f"damaged: {name} is {value[:12]}, the header says {hashes[name][:12]}.")
    return gate


def _mapped(path: Path) -> np.ndarray:
    """The stored images of an .npz file as a memory map: no zip library maps a member, so its start is looked up."""
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo(_IMAGES)
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{_IMAGES} is compressed")
    with open(path, "rb") as stream:
        stream.seek(member.header_offset)
        local = stream.read(30)  # the local header; a name and an extra field follow, of the lengths at 26 and 28
        stream.seek(int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little"), 1)
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError(f"{_IMAGES} is of another version")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        if dtype != np.uint8 or fortran or len(shape) != 4 or shape[1] != 3:
            raise ValueError(f"{_IMAGES} holds {dtype} {shape}, not uint8 (rows, 3, side, side)")
        return np.memmap(path, dtype=np.uint8, mode="r", offset=stream.tell(), shape=shape)


def pixels_sha256(images: np.ndarray, rows: np.ndarray) -> str:
    """SHA-256 of the images of some rows, in order."""
    pixels = hashlib.sha256()
    for row in rows:
        pixels.update(np.ascontiguousarray(images[row]).data)
    return pixels.hexdigest()
