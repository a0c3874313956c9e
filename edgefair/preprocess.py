"""The one decode, resize and crop: training cache, calibration, gate and device all use it.

Scaling and normalisation are not here: they are inside the exported graph, so that nothing can differ on the device.

Run as a program (`python -m edgefair.preprocess`) it is a process that decodes images and writes them into a file, for
data/cache/decode_pool.py, through its standard input. One job is a line of JSON {"file", "at", "size", "images"},
where an image is [path, offset, length] or the number of its bytes, and then those bytes. The answer is a line of JSON:
{"broken": {position: why}, "digest": SHA-256}, or {"error": [errno, why]} where the file cannot be written. The process
ends when its input does, so none is left over. It imports little on purpose, NumPy not at all.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from PIL import Image, ImageOps, UnidentifiedImageError

from edgefair.errors import DataError

if TYPE_CHECKING:
    import numpy as np  # half of the time that a process which only decodes needs to start

Job = bytes | tuple[str, int, int]  # an encoded image, or the file, offset and length where it is

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


def encoded(job: Job) -> tuple[bytes, str]:
    """An image's bytes and its name in messages; `job` is the bytes or (path, offset, length). Raises DataError."""
    if isinstance(job, bytes):
        return job, "in the table"
    path, offset, length = job
    try:
        with open(path, "rb") as stream:
            stream.seek(offset)
            return stream.read(length), path if length < 0 else f"{path} (from byte {offset})"
    except OSError as error:
        raise DataError(f"cannot read the image {path}: {error.strerror}") from error


def decode_job(job: Job, size: int) -> np.ndarray:
    """One image as uint8 [3, size, size]; raises DataError."""
    content, name = encoded(job)
    return decode(io.BytesIO(content), size, name)


def digest_of(jobs: list[Job]) -> str:
    """SHA-256 over those of the images' encoded bytes, in order; one that cannot be read counts as empty."""
    whole = hashlib.sha256()
    for job in jobs:
        try:
            content = encoded(job)[0]
        except DataError:
            content = b""
        whole.update(hashlib.sha256(content).digest())
    return whole.hexdigest()


def decode_into(file: Path, at: int, size: int, jobs: list[Job]) -> tuple[dict[int, str], str]:
    """Write images into a file from byte `at` on; returns why some, left black, cannot be read, and digest_of.

    size: pixels of a side. jobs: where the images are, as `encoded` takes them. The digest is of the very
    bytes that were decoded.
    """
    block, broken, whole = [], {}, hashlib.sha256()
    for position, job in enumerate(jobs):
        content = b""
        try:
            content, name = encoded(job)
            block.append(decode_planes(io.BytesIO(content), size, name))
        except DataError as error:
            block.append(bytes(3 * size * size))
            broken[position] = str(error)
        whole.update(hashlib.sha256(content).digest())
    # Not through a memory map: on a full disk a map ends the process with a bus error.
    with open(file, "r+b") as store:
        store.seek(at)
        store.write(b"".join(block))
    return broken, whole.hexdigest()


def main() -> None:
    """Answer jobs until the input ends."""
    given, answers = sys.stdin.buffer, sys.stdout.buffer
    while line := given.readline():
        task = json.loads(line)
        jobs = [given.read(job) if isinstance(job, int) else job for job in task["images"]]
        try:
            broken, digest = decode_into(Path(task["file"]), task["at"], task["size"], jobs)
            answer = {"broken": broken, "digest": digest}
        except OSError as error:
            answer = {"error": [error.errno, error.strerror]}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    main()
