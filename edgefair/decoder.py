"""A process that decodes images and writes them into a file, told by data/prepare.py through its standard input.

One job is a line of JSON {"file", "at", "size", "images"}, where an image is [path, offset, length] or the number of
its bytes, and then those bytes. The answer is a line of JSON: {"broken": {position: why}}, or {"error": [errno, why]}
where the file cannot be written. The process ends when its input does, so none is left over. Imports little on purpose.
"""

import io
import json
import sys
from pathlib import Path
from typing import BinaryIO

import numpy as np

from edgefair.errors import DataError
from edgefair.preprocess import decode


def open_image(job) -> tuple[Path | BinaryIO, str]:
    """What is decoded, and its name in messages; `job` is encoded bytes or (path, offset, length)."""
    if isinstance(job, bytes):
        return io.BytesIO(job), "in the table"
    path, offset, length = job
    if length < 0:
        return Path(path), path
    with open(path, "rb") as stream:
        stream.seek(offset)
        return io.BytesIO(stream.read(length)), f"{path} (from byte {offset})"


def decode_job(job, size: int) -> np.ndarray:
    """One image as uint8 [3, size, size]; raises DataError."""
    try:
        file, name = open_image(job)
        return decode(file, size, name)
    except OSError as error:
        raise DataError(f"cannot read the image {job[0]}: {error.strerror}") from error


def decode_into(file: Path, at: int, size: int, jobs: list) -> dict[int, str]:
    """Write images one after the other from byte `at` on; returns why some, left black, cannot be read."""
    block, broken = np.zeros((len(jobs), 3, size, size), np.uint8), {}
    for position, job in enumerate(jobs):
        try:
            block[position] = decode_job(job, size)
        except DataError as error:
            broken[position] = str(error)
    # Not through a memory map: on a full disk a map ends the process with a bus error.
    with open(file, "r+b") as store:
        store.seek(at)
        store.write(block.data)
    return broken


def main() -> None:
    """Answer jobs until the input ends."""
    given, answers = sys.stdin.buffer, sys.stdout.buffer
    while line := given.readline():
        order = json.loads(line)
        jobs = [given.read(job) if isinstance(job, int) else job for job in order["images"]]
        try:
            answer = {"broken": decode_into(Path(order["file"]), order["at"], order["size"], jobs)}
        except OSError as error:
            answer = {"error": [error.errno, error.strerror]}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    main()
