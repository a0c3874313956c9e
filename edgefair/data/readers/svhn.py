"""SVHN as published, cropped digits: train_32x32.mat and test_32x32.mat (format 2).

Netzer, Wang, Coates, Bissacco, Wu and Ng, "Reading Digits in Natural Images with Unsupervised Feature Learning" (NIPS
workshop 2011). Terms: non-commercial use only. X is uint8 [32, 32, 3, N]; y is 1 .. 10, where 10 is the digit 0. Test
images are the gate rows; the extra images are not read. There are no groups.
"""

from pathlib import Path

import numpy as np

from edgefair.data.listing import ALL, Entry, Held, Listing
from edgefair.errors import DataError, require
from edgefair.files import sha256
from edgefair.log import Log
from edgefair.recipe.data import SvhnSettings

TERMS = "non-commercial use only; cite Netzer et al., NIPS workshop 2011"
_FILES = {"train": "train_32x32.mat", "gate": "test_32x32.mat"}


class Digits:
    """The images of one file, by row."""

    def __init__(self, path: Path):
        self.key = sha256(path)
        self.images, self.labels = read_digits(path)  # [32, 32, 3, N], [N]

    def content(self, row: int) -> bytes:
        """An image in the plainest encoding there is: a line of text and the pixels (portable pixmap)."""
        image = np.ascontiguousarray(self.images[..., row])
        return b"P6 %d %d 255\n" % (image.shape[1], image.shape[0]) + image.tobytes()


def recognize(path: Path) -> bool:
    """Whether the training images lie in a folder."""
    return (path / _FILES["train"]).is_file()


def read(settings: SvhnSettings, seed: int, log: Log) -> Listing:
    """The entries of the folder `settings.path`; raises DataError naming what is missing or wrong."""
    folder, entries = Path(settings.path), []
    for part, file in _FILES.items():
        if not (folder / file).is_file():
            raise DataError(f"no SVHN in {folder}: there is no {file}. Put the author's two files there (format 2).")
        digits = Digits(folder / file)
        for row, label in enumerate(digits.labels.tolist()):
            name = f"{part}-{row:06d}"
            entries.append(Entry(Held(digits, row), str(label), ALL[0], name, f"{file}, image {row}", part))
    about = {"name": "svhn", "source": str(folder), "terms": TERMS}
    return Listing(entries, about, tuple("0123456789"), ALL)


def read_digits(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [32, 32, 3, N] and digits int64 [N] of a file; raises DataError for another content."""
    loadmat = require("scipy.io", "data", "SVHN").loadmat
    try:
        stored = loadmat(path, variable_names=("X", "y"))
        images, labels = stored["X"], stored["y"].astype(np.int64).reshape(-1)
    except KeyError as error:
        raise DataError(f"{path} has no variable {error}; SVHN's files (format 2) have X and y.") from None
    except Exception as error:  # a broken file may fail in any way
        raise DataError(f"{path} is no whole MATLAB file ({type(error).__name__}: {error}). Get it again.") from None
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[2:] != (3, len(labels)):
        raise DataError(f"{path}: X is {images.dtype} {images.shape}; uint8 (32, 32, 3, {len(labels)}) is needed.")
    if not np.isin(labels, np.arange(1, 11)).all():
        raise DataError(f"{path}: labels run from {labels.min()} to {labels.max()}; needed are 1 to 10 (digit 0).")
    return images, labels % 10
