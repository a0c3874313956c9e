"""Miniature CIFAR folders in the author's layout: pickles of protocol 2 as Python 2 and its NumPy wrote them."""

import struct
from pathlib import Path

import numpy as np

EMPTY_ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
BYTE_TYPE = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"


def text(value: str) -> bytes:
    """A text of Python 2: bytes that its reader must decode."""
    return b"U" + bytes([len(value)]) + value.encode("latin1")


def array(rows: np.ndarray) -> bytes:
    """An array of bytes: an empty one that is filled by (version, shape, type, Fortran order, content)."""
    shape = b"(" + b"".join(number(side) for side in rows.shape) + b"t"
    content = b"T" + struct.pack("<i", rows.size) + rows.tobytes()
    return EMPTY_ARRAY + b"(K\x01" + shape + BYTE_TYPE + b"\x89" + content + b"tb"


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def batch(entries: dict[str, bytes]) -> bytes:
    """A dictionary of already pickled values."""
    return b"\x80\x02}(" + b"".join(text(key) + value for key, value in entries.items()) + b"u."


def listed(values: list[bytes]) -> bytes:
    return b"](" + b"".join(values) + b"e"


def pictures(labels: np.ndarray, seed: int) -> np.ndarray:
    """Rows uint8 [N, 3072] whose colours tell the class, with noise."""
    random = np.random.default_rng(seed)
    rows = random.integers(0, 60, (len(labels), 3, 1024)) + 12 * labels[:, None, None] % [[[190], [150], [110]]]
    return rows.reshape(len(labels), 3072).astype(np.uint8)


def write_cifar10(folder: Path, per_class: int = 40, test_per_class: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """A folder of six files; returns all rows and labels, training first."""
    folder.mkdir(parents=True)
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(10), per_class))
    labels = np.concatenate([labels, np.random.default_rng(2).permutation(np.repeat(np.arange(10), test_per_class))])
    rows = pictures(labels, 3)
    edges = [*range(0, 10 * per_class + 1, 2 * per_class), len(labels)]
    names = [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]
    for name, start, stop in zip(names, edges[:-1], edges[1:], strict=True):
        part = {"batch_label": text(name), "labels": listed([number(int(v)) for v in labels[start:stop]])}
        part |= {"data": array(rows[start:stop]), "filenames": listed([text(f"{k}.png") for k in range(start, stop)])}
        (folder / name).write_bytes(batch(part))
    return rows, labels


def write_cifar100(folder: Path, per_class: int = 4, test_per_class: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A folder of three files, four fine classes to a coarse one; returns all rows and fine labels, training first."""
    folder.mkdir(parents=True)
    labels = np.concatenate([np.tile(np.arange(100), per_class), np.tile(np.arange(100), test_per_class)])
    rows = pictures(labels % 10, 3)
    edges = [0, 100 * per_class, len(labels)]
    for name, start, stop in zip(("train", "test"), edges[:-1], edges[1:], strict=True):
        fine, coarse = ([number(int(v) // every) for v in labels[start:stop]] for every in (1, 5))
        part = {"data": array(rows[start:stop]), "fine_labels": listed(fine), "coarse_labels": listed(coarse)}
        (folder / name).write_bytes(batch(part))
    names = {kind: listed([text(f"{kind} {k}") for k in range(n)]) for kind, n in (("fine", 100), ("coarse", 20))}
    (folder / "meta").write_bytes(batch({f"{kind}_label_names": values for kind, values in names.items()}))
    return rows, labels
