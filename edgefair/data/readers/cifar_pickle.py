"""The python batches of CIFAR-10 and CIFAR-100 as their author publishes them, read without executing anything.

Krizhevsky, "Learning multiple layers of features from tiny images" (2009). The files are pickles of Python 2: a
dictionary with `data`, uint8 rows of 1024 red, 1024 green and 1024 blue values, and lists of labels. A pickle can name
any function to be called; here the few names that such files hold are given harmless stand-ins, and any other is an
error. Copies that were pickled again by Python 3 are read too.
"""

import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgefair.errors import DataError

SIDE = 32
CIFAR10_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class Layout:
    """How one of the two sets lies on disk."""

    folder: str
    train: tuple[str, ...]
    test: str
    meta: str


LAYOUTS = {
    "cifar10": Layout(
        "cifar-10-batches-py", tuple(f"data_batch_{k}" for k in range(1, 6)), "test_batch", "batches.meta"
    ),
    "cifar100": Layout("cifar-100-python", ("train",), "test", "meta"),
}


@dataclass(frozen=True)
class Pictures:
    """Images uint8 [N, 3, 32, 32] and labels int64 [N]: training images in the files' order, then test images."""

    images: np.ndarray
    labels: np.ndarray
    num_train: int
    class_names: tuple[str, ...]


def find_folder(path: str | Path, kind: str) -> Path | None:
    """The folder of the batches, which is `path` or lies in it; None where there is none."""
    layout = LAYOUTS[kind]
    for folder in (Path(path), Path(path) / layout.folder):
        if (folder / layout.train[0]).is_file() and (folder / layout.test).is_file():
            return folder
    return None


def read_pictures(path: str | Path, kind: str, label_set: str = "fine") -> Pictures:
    """All images of "cifar10" or "cifar100"; `label_set` is "fine" or "coarse" for the latter.

    Raises DataError naming the file for one that is missing, truncated, of another layout, or that calls for a name
    which such a file does not need.
    """
    layout, folder = LAYOUTS[kind], find_folder(path, kind)
    if folder is None:
        raise DataError(
            f"no {kind} in {path}: neither it nor a folder {layout.folder} in it holds {layout.train[0]} and "
            f"{layout.test}. Unpack the author's archive of python batches there, or correct data.path."
        )
    key = "labels" if kind == "cifar10" else f"{label_set}_labels"
    names = CIFAR10_NAMES if kind == "cifar10" else _class_names(folder / layout.meta, f"{label_set}_label_names")
    parts = [_batch(folder / file, key, len(names)) for file in (*layout.train, layout.test)]
    images, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Pictures(images.reshape(-1, 3, SIDE, SIDE), labels, len(images) - len(parts[-1][0]), names)


def _batch(path: Path, key: str, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows uint8 [N, 3072] and labels int64 [N] of one file."""
    stored = read_pickle(path)
    rows, labels = (_entry(path, stored, name) for name in ("data", key))
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.shape[1] != 3 * SIDE**2:
        found = f"shape {rows.shape}" if isinstance(rows, np.ndarray) else type(rows).__name__
        raise DataError(f"{path}: 'data' has {found}; rows of {3 * SIDE**2} bytes [N, 3072] are needed.")
    if not isinstance(labels, list) or len(labels) != len(rows):
        found = f"{len(labels)} entries" if isinstance(labels, list) else type(labels).__name__
        raise DataError(f"{path}: '{key}' has {found}; a list of {len(rows)}, one for each image, is needed.")
    for row, label in enumerate(labels):
        if type(label) is not int or not 0 <= label < num_classes:
            raise DataError(f"{path}: label {label!r} of image {row} is not one of 0 .. {num_classes - 1}.")
    return rows, np.array(labels, np.int64)


def _class_names(path: Path, key: str) -> tuple[str, ...]:
    names = _entry(path, read_pickle(path), key)
    names = [_text(name) for name in names] if isinstance(names, list) else []
    if not names or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise DataError(f"{path}: '{key}' is no list of different names.")
    return tuple(names)


def _entry(path: Path, stored: dict, key: str):
    if key not in stored:
        raise DataError(f"{path} has no '{key}'; it holds {', '.join(sorted(map(str, stored))) or 'nothing'}.")
    return stored[key]


def _text(value):
    return value.decode("latin1") if isinstance(value, bytes) else value


def read_pickle(path: Path) -> dict:
    """The dictionary in a pickle, its keys as text; raises DataError for anything but plain values and uint8 arrays."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise DataError(
            f"cannot read {path}: {error.strerror}. The author's archive holds it; unpack it whole."
        ) from None
    try:
        stored = _Reader(io.BytesIO(content), encoding="bytes").load()
    except DataError as error:
        raise DataError(f"{path} {error}") from None
    except Exception as error:  # a broken pickle may fail in any way: the machine runs into nonsense
        raise DataError(
            f"{path} is no whole pickle ({type(error).__name__}: {error}). Unpack the author's archive again."
        ) from None
    if not isinstance(stored, dict):
        raise DataError(f"{path} holds a {type(stored).__name__}; a batch is a dictionary.")
    return {_text(key): value.value if isinstance(value, _Array) else value for key, value in stored.items()}


class _Dtype:
    """Stands in for numpy.dtype: one byte without sign, or nothing."""

    def __init__(self, code, *_):
        if _text(code) not in ("u1", "|u1", "uint8"):
            raise DataError(f"holds an array of type {_text(code)!r}; images are bytes (u1).")

    def __setstate__(self, state) -> None:
        """Byte order and fields, which bytes do not have."""


class _Array:
    """Stands in for an array that is filled by its state: (version, shape, dtype, Fortran order, bytes)."""

    def __init__(self, *_):
        self.value = None

    def __setstate__(self, state) -> None:
        _, shape, dtype, fortran, content = state
        if not isinstance(dtype, _Dtype) or not isinstance(content, bytes):
            raise DataError("holds an array of something else than bytes.")
        self.value = np.frombuffer(content, np.uint8).reshape(shape, order="F" if fortran else "C")


def _latin1(text: str, encoding: str) -> bytes:
    """What Python 3 writes for bytes in a protocol that knows none."""
    return text.encode("latin1")


_ALLOWED: dict[tuple[str, str], Callable] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _latin1,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Callable:
        """The stand-in for a name in the file; DataError for any but the few that such files hold."""
        if (module, name) not in _ALLOWED:
            raise DataError(
                f"calls for '{module}.{name}', which no CIFAR file needs; it was not run. Use the author's files."
            )
        return _ALLOWED[module, name]
