"""Chunks of images decoded on all cores: by threads where they are few, by processes of their own where they are many.

Pillow decodes and resizes without Python's global lock, so threads do well on few cores; the rest of the work on an
image does not. The processes are started as programs, not as copies of this one: a script needs no guard for them.
"""

import contextlib
import json
import os
import queue
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import IO

from edgefair.errors import DataError
from edgefair.preprocess import decode_into

MIN_TASKS_FOR_PROCESSES = 24  # below, starting processes takes longer than what they save
PROGRAM = ("-m", "edgefair.preprocess")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_parallel(tasks: Iterable[tuple], size: int, total: int) -> Iterator[tuple[int, int, dict, str]]:
    """Run `total` tasks (name, file, byte, images): decode the images, write them into the file from that byte on.

    Yields (name, number of images, those that cannot be read, digest) of each as it ends. At most two tasks a core are
    open at a time, so that memory does not grow with their number.
    """
    workers = _WorkerPool(0 if total < MIN_TASKS_FOR_PROCESSES or cores() == 1 else cores())
    open_tasks: set[Future] = set()
    pool = ThreadPoolExecutor(cores())
    try:
        for name, file, at, jobs in tasks:
            open_tasks.add(pool.submit(workers.run, name, file, at, size, jobs))
            if len(open_tasks) >= 2 * cores():
                finished, open_tasks = wait(open_tasks, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in finished)
        for future in open_tasks:
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)
        workers.shutdown()


class _WorkerPool:
    """The processes, each with one task at a time; without any, the calling thread does the work."""

    def __init__(self, count: int):
        self.workers = [_start() for _ in range(count)]
        self.idle: queue.SimpleQueue = queue.SimpleQueue()
        for worker in self.workers:
            self.idle.put(worker)

    def run(self, name: int, file: Path, at: int, size: int, jobs: list) -> tuple[int, int, dict, str]:
        """Do the task `name`: `decode_into` of file, at, size and jobs; returns what `in_parallel` yields."""
        if not self.workers:
            return name, len(jobs), *decode_into(file, at, size, jobs)
        worker = self.idle.get()
        try:
            broken, digest = _ask(worker, file, at, size, jobs)
        except (BrokenPipeError, ValueError):
            raise DataError(
                f"a process that decodes images ended by itself (exit code {worker.poll()}; memory?). Run the "
                "same command again: it is resumed where this one stopped."
            ) from None
        finally:
            self.idle.put(worker)
        return name, len(jobs), broken, digest

    def shutdown(self) -> None:
        """End all processes, which finish the task that they have."""
        for worker in self.workers:
            with contextlib.suppress(BrokenPipeError):  # of one that has died
                _pipes(worker)[0].close()
        for worker in self.workers:
            worker.wait()
            _pipes(worker)[1].close()


def _start() -> subprocess.Popen[bytes]:
    package = str(Path(__file__).parents[3])
    found = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH", "")]))
    # -P: a file in the user's folder must not stand in for a module. A session of its own: Ctrl-C is for the parent.
    return subprocess.Popen(
        [sys.executable, "-P", *PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": found},
        start_new_session=True,
    )


def _pipes(worker: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    """What leads to a process and what comes back."""
    assert worker.stdin is not None  # `_start` opens both
    assert worker.stdout is not None
    return worker.stdin, worker.stdout


def _ask(worker: subprocess.Popen[bytes], file: Path, at: int, size: int, jobs: list) -> tuple[dict[int, str], str]:
    to, back = _pipes(worker)
    images = [len(job) if isinstance(job, bytes) else job for job in jobs]
    task = {"file": os.path.abspath(file), "at": at, "size": size, "images": images}
    to.write(json.dumps(task).encode() + b"\n")
    for job in jobs:
        if isinstance(job, bytes):
            to.write(job)
    to.flush()
    answer = json.loads(back.readline())
    if "error" in answer:
        raise OSError(*answer["error"])
    return {int(position): why for position, why in answer["broken"].items()}, answer["digest"]
