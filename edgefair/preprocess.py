"""The one decode, resize and crop: training cache, calibration, gate and device all use it.

Scaling and normalisation are not here: they are inside the exported graph, so that nothing can differ on the device.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from PIL import Image, ImageOps, UnidentifiedImageError

from edgefair.errors import DataError

if TYPE_CHECKING:
    import numpy as np  # half of the time that a process which only decodes needs to start

VERSION = 1  # part of every cache key: raise it when a pixel changes


def decode(file: Path | BinaryIO, size: int, name: str = "") -> np.ndarray:
    """Read an image as uint8 [3, size, size]: upright, RGB, shorter side resized to `size` (bicubic), centre crop.

    A JPEG is decoded whole, not at reduced size, which would give other pixels. Raises DataError, with `name` for an
    open file, where the file is missing, truncated or no image.
    """
    return _array(decode_planes(file, size, name), size)


def square(image: Image.Image, size: int) -> np.ndarray:
    """An RGB image as uint8 [3, size, size]: shorter side resized to `size` (bicubic), centre crop."""
    return _array(planes(image, size), size)


def _array(pixels: bytes, size: int) -> np.ndarray:
    import numpy as np

    return np.frombuffer(pixels, np.uint8).reshape(3, size, size)


def decode_planes(file: Path | BinaryIO, size: int, name: str = "") -> bytes:
    """The same as 3 * size * size bytes, for a process that needs no arrays."""
    try:
        with Image.open(file) as image:
            ImageOps.exif_transpose(image, in_place=True)
            return planes(image if image.mode == "RGB" else image.convert("RGB"), size)
    except UnidentifiedImageError:
        raise DataError(f"cannot read the image {name or file}: it is of no kind that Pillow knows") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"cannot read the image {name or file}: {error}") from error


def planes(image: Image.Image, size: int) -> bytes:
    """The same as `square` gives, as bytes."""
    fitted = ImageOps.fit(image, (size, size), method=Image.Resampling.BICUBIC)
    return b"".join(band.tobytes() for band in fitted.split())
