"""Cells as tasks of a Ray cluster: Ray chooses the machine, and gives a task that lost its machine to another one.

The folder of the sweep, the data and the folder that the command is started in must be the same on every machine: a
shared file system. edgefair must be installed on each.
"""

import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgefair.errors import RunFolderError, require
from edgefair.pipeline.sweep.folder import SweepFolder
from edgefair.pipeline.sweep.grid import Cell
from edgefair.pipeline.sweep.workers import cell_command, environment_of, start_process, told_end

AT_ONCE = 1000  # tasks that the cluster is asked for at a time


def run_command(command: list[str], log: str, folder: str, environment: dict[str, str]) -> int:
    """On some machine of the cluster: run a cell's process to its end; returns its exit code."""
    import ray

    where = f", node {ray.get_runtime_context().get_node_id()}"
    process = start_process([sys.executable, *command], Path(log), Path(folder), environment, where)
    return process.wait()


@dataclass
class Cluster:
    """A Ray cluster at an address: `auto` for one that this machine belongs to, host:port, or ray://host:port."""

    sweep: SweepFolder
    address: str
    gpus_per_run: float
    attempts: int
    most: int = AT_ONCE
    running: dict[Any, Cell] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ray = require("ray", "sweep", "a sweep on a cluster (--address)")
        try:
            _knock(self.address)  # Ray would ask for a minute
            self.ray.init(address=self.address, log_to_driver=False, logging_level="error")
        except (OSError, ValueError, RuntimeError, ImportError) as error:
            raise RunFolderError(
                f"no Ray cluster answers at --address {self.address}: {error}. Start one with ray start --head, join "
                "the other machines with ray start --address HOST:PORT, or leave --address out to use this one alone."
            ) from None

    def room(self) -> int:
        return self.most - len(self.running)

    def start(self, cell: Cell) -> None:
        gpus = self.gpus_per_run if cell.recipe.device == "cuda" else 0
        needs = {"num_cpus": cell.recipe.threads or 1, "num_gpus": gpus, "max_retries": self.attempts - 1}
        task = self.ray.remote(**needs)(run_command)
        log, here = self.sweep.log(cell).absolute(), Path.cwd()
        running = task.remote(cell_command(self.sweep, cell), str(log), str(here), environment_of(cell))
        self.running[running] = cell

    def ended(self, seconds: float) -> list[tuple[Cell, str]]:
        if not self.running:
            time.sleep(seconds)
            return []
        done, _ = self.ray.wait(list(self.running), num_returns=1, timeout=seconds)
        return [(self.running.pop(one), self._end(one)) for one in done]

    def _end(self, task: Any) -> str:
        try:
            return told_end(self.ray.get(task))
        except self.ray.exceptions.RayTaskError as error:
            return f"Ray could not start it: {error.cause!r}"
        except self.ray.exceptions.RayError:
            return told_end(None)

    def close(self) -> None:
        for task in self.running:
            self.ray.cancel(task, force=True)
        self.running = {}
        self.ray.shutdown()


def _knock(address: str) -> None:
    """Raise OSError where nobody listens at HOST:PORT; `auto` is left to Ray."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=10).close()
