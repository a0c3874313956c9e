"""The order in which cells run: every teacher begins early, no worker waits for a teacher that another one trains."""

import itertools
from collections import Counter
from dataclasses import dataclass, field

from edgefair.errors import listed
from edgefair.log import Log
from edgefair.pipeline.sweep.folder import SweepFolder
from edgefair.pipeline.sweep.grid import Cell
from edgefair.pipeline.sweep.workers import Workers

LOOK_SECONDS = 1.0
TAIL = 3  # lines of a log that are shown of a process that broke


def in_order(cells: list[Cell]) -> list[Cell]:
    """The first cell of every teacher, then the others, each as they stand in the grid."""
    seen: set[str] = set()
    first = [cell for cell in cells if not (cell.teacher in seen or seen.add(cell.teacher))]
    names = {cell.name for cell in first}
    return first + [cell for cell in cells if cell.name not in names]


@dataclass
class Schedule:
    """Cells that wait, run, and are done with; `run` works them off.

    A cell whose process ends without a report is tried `attempts` times; one that another sweep works on is waited for.
    """

    sweep: SweepFolder
    workers: Workers
    attempts: int
    log: Log
    waiting: list[Cell] = field(default_factory=list)
    running: list[Cell] = field(default_factory=list)
    given_up: dict[str, str] = field(default_factory=dict)
    tries: Counter = field(default_factory=Counter)
    ready: set[str] = field(default_factory=set)  # teachers that are finished
    done: int = 0
    total: int = 0

    def run(self, cells: list[Cell]) -> None:
        """Work off cells, which are neither finished nor refused."""
        self.waiting, self.total = in_order(cells), len(cells)
        try:
            while self.waiting or self.running:
                for cell in self._startable():
                    self.running.append(cell)
                    self.workers.start(cell)
                    self.log.line(f"{cell.name}: started")
                for cell, end in self.workers.ended(LOOK_SECONDS):
                    self.running.remove(cell)
                    if not self._settled(cell):
                        self._put_back(cell, end)
        finally:
            self.workers.close()

    def _startable(self) -> list[Cell]:
        """The next cells, taken out of those that wait: at most one of a teacher that is not finished."""
        self.ready |= {cell.teacher for cell in self.running if self.sweep.has_teacher(cell)}
        training = {cell.teacher for cell in self.running} - self.ready
        chosen: list[Cell] = []
        room = self.workers.room()
        for cell in list(self.waiting):
            if len(chosen) >= room:
                break
            if cell.teacher in training or self.sweep.in_use(cell):
                continue
            self.waiting.remove(cell)
            if self._settled(cell):  # by another sweep, while it waited
                continue
            chosen.append(cell)
            if cell.teacher not in self.ready:
                training.add(cell.teacher)
        return chosen

    def _settled(self, cell: Cell) -> bool:
        """Whether the run folder says that the cell is done with; then so does the log."""
        if self.sweep.has_teacher(cell):
            self.ready.add(cell.teacher)
        if self.sweep.state(cell) not in ("finished", "refused"):
            return False
        self.done += 1
        self.log.line(f"{self.done}/{self.total} {cell.name}: {_found(self.sweep.row(cell))}")
        return True

    def _put_back(self, cell: Cell, end: str) -> None:
        """Let a cell wait again whose process ended without a report, or give it up."""
        if self.sweep.in_use(cell):  # another sweep was quicker
            self.waiting.append(cell)
            return
        self.tries[cell.name] += 1
        again = self.tries[cell.name] < self.attempts
        what = "tried again" if again else f"given up after {self.tries[cell.name]} attempts"
        self.log.line(f"{cell.name}: {end}; {what}. {self.sweep.log(cell)} ends with:\n{_last_lines(self.sweep, cell)}")
        if again:
            self.waiting.append(cell)
        else:
            self.done += 1
            self.given_up[cell.name] = end


def _found(row: dict) -> str:
    if row["state"] == "refused":
        return f"refused: {row['reason']}"
    return f"{row['outcome']}, accuracy {percent(row['accuracy'])} %, gap {percent(row['gap'])} points"


def percent(rate: float | None) -> str:
    """A rate as percent, a dash where it is undefined."""
    return "–" if rate is None else f"{100 * rate:.1f}"


def _last_lines(sweep: SweepFolder, cell: Cell) -> str:
    file = sweep.log(cell)
    lines = file.read_text("utf-8", "replace").splitlines() if file.exists() else []
    return "\n".join(f"  {line}" for line in lines[-TAIL:])


def varied_settings(cells: tuple[Cell, ...]) -> str:
    """The settings that differ between cells, for a sentence."""
    names = dict.fromkeys(itertools.chain.from_iterable(cell.varied for cell in cells))
    return listed(list(names), most=12)
