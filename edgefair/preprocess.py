"""The one decode, resize and crop: training cache, calibration, gate and device all use it.

Scaling and normalisation are not here: they are inside the exported graph, so that nothing can differ on the device.
"""

from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from edgefair.errors import DataError

VERSION = 1  # part of every cache key: raise it when a pixel changes


def decode(file: Path | BinaryIO, size: int, name: str = "") -> np.ndarray:
    """Read an image as uint8 [3, size, size]: upright, RGB, shorter side resized to `size` (bicubic), centre crop.

    A JPEG is decoded whole, not at reduced size, which would give other pixels. Raises DataError, with `name` for an
    open file, where the file is missing, truncated or no image.
    """
    try:
        with Image.open(file) as image:
            ImageOps.exif_transpose(image, in_place=True)
            return square(image if image.mode == "RGB" else image.convert("RGB"), size)
    except UnidentifiedImageError:
        raise DataError(f"cannot read the image {name or file}: it is of no kind that Pillow knows") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"cannot read the image {name or file}: {error}") from error


def square(image: Image.Image, size: int) -> np.ndarray:
    """An RGB image as uint8 [3, size, size]: shorter side resized to `size` (bicubic), centre crop."""
    fitted = ImageOps.fit(image, (size, size), method=Image.Resampling.BICUBIC)
    return np.ascontiguousarray(np.asarray(fitted).transpose(2, 0, 1))
