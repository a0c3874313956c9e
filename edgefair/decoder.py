"""A process that decodes images and writes them into a file, told by data/prepare.py through its standard input.

One job is a line of JSON {"file", "at", "size", "images"}, where an image is [path, offset, length] or the number of
its bytes, and then those bytes. The answer is a line of JSON: {"broken": {position: why}, "digest": SHA-256}, or
{"error": [errno, why]} where the file cannot be written. The process ends when its input does, so none is left over.
Imports little on purpose, NumPy not at all.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edgefair.errors import DataError
from edgefair.preprocess import decode, decode_planes

if TYPE_CHECKING:
    import numpy as np


def encoded(job) -> tuple[bytes, str]:
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


def decode_job(job, size: int) -> np.ndarray:
    """One image as uint8 [3, size, size]; raises DataError."""
    content, name = encoded(job)
    return decode(io.BytesIO(content), size, name)


def digest_of(jobs: list) -> str:
    """SHA-256 over those of the images' encoded bytes, in order; one that cannot be read counts as empty."""
    whole = hashlib.sha256()
    for job in jobs:
        try:
            content = encoded(job)[0]
        except DataError:
            content = b""
        whole.update(hashlib.sha256(content).digest())
    return whole.hexdigest()


def decode_into(file: Path, at: int, size: int, jobs: list) -> tuple[dict[int, str], str]:
    """Write images one after the other from byte `at` on; returns why some, left black, cannot be read, and digest_of.

    The digest is of the very bytes that were decoded.
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
        order = json.loads(line)
        jobs = [given.read(job) if isinstance(job, int) else job for job in order["images"]]
        try:
            broken, digest = decode_into(Path(order["file"]), order["at"], order["size"], jobs)
            answer = {"broken": broken, "digest": digest}
        except OSError as error:
            answer = {"error": [error.errno, error.strerror]}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    main()
