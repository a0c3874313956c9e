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

from edgefair.errors import DataError
from edgefair.preprocess import decode_into

FEW = 24  # orders: below, starting processes takes longer than what they save
PROGRAM = ("-m", "edgefair.preprocess")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_parallel(part: Path, size: int, orders: Iterable[tuple], total: int) -> Iterator[tuple[int, int, dict, str]]:
    """Carry out orders (name, byte, images) and yield (name, number of images, those that cannot be read, digest).

    At most two orders a core are open at a time, so that memory does not grow with their number.
    """
    crew = _Crew(0 if total < FEW or cores() == 1 else cores())
    open_orders: set[Future] = set()
    pool = ThreadPoolExecutor(cores())
    try:
        for name, at, jobs in orders:
            open_orders.add(pool.submit(crew.carry_out, name, part, at, size, jobs))
            if len(open_orders) >= 2 * cores():
                finished, open_orders = wait(open_orders, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in finished)
        for future in open_orders:
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)
        crew.dismiss()


class _Crew:
    """The processes, each with one order at a time; without any, the calling thread does the work."""

    def __init__(self, count: int):
        self.everyone = [_start() for _ in range(count)]
        self.idle: queue.SimpleQueue = queue.SimpleQueue()
        for worker in self.everyone:
            self.idle.put(worker)

    def carry_out(self, name, part: Path, at: int, size: int, jobs: list) -> tuple[int, int, dict, str]:
        if not self.everyone:
            return name, len(jobs), *decode_into(part, at, size, jobs)
        worker = self.idle.get()
        try:
            broken, digest = _ask(worker, part, at, size, jobs)
        except (BrokenPipeError, ValueError):
            raise DataError(
                f"a process that decodes images ended by itself (exit code {worker.poll()}; memory?). Run the "
                "same command again: it goes on where this one stopped."
            ) from None
        finally:
            self.idle.put(worker)
        return name, len(jobs), broken, digest

    def dismiss(self) -> None:
        for worker in self.everyone:
            with contextlib.suppress(BrokenPipeError):  # of one that has died
                worker.stdin.close()
        for worker in self.everyone:
            worker.wait()
            worker.stdout.close()


def _start() -> subprocess.Popen:
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


def _ask(worker: subprocess.Popen, part: Path, at: int, size: int, jobs: list) -> tuple[dict[int, str], str]:
    images = [len(job) if isinstance(job, bytes) else job for job in jobs]
    order = {"file": os.path.abspath(part), "at": at, "size": size, "images": images}
    worker.stdin.write(json.dumps(order).encode() + b"\n")
    for job in jobs:
        if isinstance(job, bytes):
            worker.stdin.write(job)
    worker.stdin.flush()
    answer = json.loads(worker.stdout.readline())
    if "error" in answer:
        raise OSError(*answer["error"])
    return {int(position): why for position, why in answer["broken"].items()}, answer["digest"]
