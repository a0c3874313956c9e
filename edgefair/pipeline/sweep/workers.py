"""Processes that run one cell each: started alike on this machine and by Ray on others."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import edgefair
from edgefair.pipeline.sweep.folder import SweepFolder
from edgefair.pipeline.sweep.grid import Cell

POLL_SECONDS = 0.2


class Workers(Protocol):
    """Where cells run."""

    def room(self) -> int:
        """How many cells may be started now."""

    def start(self, cell: Cell) -> None:
        """Begin with a cell."""

    def ended(self, seconds: float) -> list[tuple[Cell, str]]:
        """The cells whose process ended, waiting up to so long for one, each with what is said of its end."""

    def close(self) -> None:
        """End every process that runs."""


def start_process(command: list[str], log: Path, folder: Path, environment: dict[str, str], where: str = ""):
    """Start a cell's process in `folder`, its output appended to `log`; closing its standard input ends it.

    environment: variables on top of this process's own. where: what the log says of the machine besides its name.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "a", encoding="utf-8") as output:
        output.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} started on {socket.gethostname()}{where}\n")
        output.flush()
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, **environment},
            start_new_session=True,  # Ctrl-C is for the sweep, which ends its cells
        )


def cell_command(sweep: SweepFolder, cell: Cell) -> list[str]:
    """The arguments that run a cell of a sweep alone, for as long as whoever started it lives."""
    folder = sweep.path.absolute()
    arguments = ["sweep", str(folder / "grid.toml"), "--out", str(folder), "--cell", cell.name, "--end-with-parent"]
    return ["-m", "edgefair", *arguments]


def environment_of(cell: Cell) -> dict[str, str]:
    """What a cell's process finds: this very package, and how many threads libraries take that read no recipe."""
    threads = str(cell.recipe.threads or 1)
    package = str(Path(edgefair.__file__).parents[1])
    paths = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH", "")]))
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return {"PYTHONPATH": paths} | dict.fromkeys(names, threads)


def told_end(code: int | None) -> str:
    """What is said of a process that ended with this exit code."""
    if code is None:
        return "its machine was lost"
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


@dataclass
class Pool:
    """Processes on this machine, as many as `slots` has entries: each the GPU that its cells see, "" for none."""

    sweep: SweepFolder
    slots: list[str]
    running: list[tuple[Cell, subprocess.Popen, str]] = field(default_factory=list)

    def room(self) -> int:
        return len(self.slots) - len(self.running)

    def start(self, cell: Cell) -> None:
        free = list(self.slots)
        for *_, slot in self.running:
            free.remove(slot)
        environment = environment_of(cell) | ({"CUDA_VISIBLE_DEVICES": free[0]} if free[0] else {})
        command = [sys.executable, *cell_command(self.sweep, cell)]
        process = start_process(command, self.sweep.log(cell), Path.cwd(), environment)
        self.running.append((cell, process, free[0]))

    def ended(self, seconds: float) -> list[tuple[Cell, str]]:
        until = time.monotonic() + seconds
        while not any(process.poll() is not None for _, process, _ in self.running) and time.monotonic() < until:
            time.sleep(POLL_SECONDS)
        done = [(cell, process) for cell, process, _ in self.running if process.poll() is not None]
        self.running = [one for one in self.running if one[1].poll() is None]
        return [(cell, told_end(_closed(process))) for cell, process in done]

    def close(self) -> None:
        for _, process, _ in self.running:
            _let_go(process)
        for _, process, _ in self.running:
            _closed(process)
        self.running = []


def _let_go(process: subprocess.Popen) -> None:
    """Close what tells a process that its parent lives."""
    if process.stdin:
        process.stdin.close()


def _closed(process: subprocess.Popen) -> int:
    """Let go of a process, which ends it; returns its exit code."""
    _let_go(process)
    try:
        return process.wait(timeout=10)
    except subprocess.TimeoutExpired:  # it is in a call that lets no other thread run
        process.kill()
        return process.wait()


def local_slots(
    cells: tuple[Cell, ...], workers: int | None, gpus_per_run: float, count: Callable[[], int]
) -> list[str]:
    """A slot for every cell that runs at a time: so many to a GPU, or as many as the cores have room for.

    workers: how many at most, None for what fits. gpus_per_run: the part of a GPU that a cell takes, 0 < part <= 1.
    count: the number of cores.
    """
    if any(cell.recipe.device == "cuda" for cell in cells):
        gpus = visible_gpus()
        slots = [gpu for _ in range(int(1 / gpus_per_run)) for gpu in gpus] or [""]
        return slots if workers is None else [slots[at % len(slots)] for at in range(workers)]
    threads = max((cell.recipe.threads or count() for cell in cells), default=1)
    return [""] * (workers or max(1, count() // threads))


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [gpu for gpu in named.split(",") if gpu]
    import pynvml  # here: most sweeps need no GPU

    try:
        pynvml.nvmlInit()
        return [str(at) for at in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return []
