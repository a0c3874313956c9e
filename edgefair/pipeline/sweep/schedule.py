"""The order in which cells run: every teacher begins early, no worker waits for a teacher that another one trains."""

import itertools
from collections import Counter
from dataclasses import dataclass, field

from edgefair.errors import listed
from edgefair.files import digest
from edgefair.log import Log
from edgefair.pipeline.sweep.folder import SweepFolder
from edgefair.pipeline.sweep.grid import Cell
from edgefair.pipeline.sweep.workers import Workers

LOOK_SECONDS = 1.0
TAIL = 3  # lines of a log that are shown of a process that broke


def teacher_group(cell: Cell) -> str:
    """What two cells have in common exactly if they have the same teacher."""
    settings = cell.recipe.model_dump(mode="json")
    return digest({name: settings[name] for name in ("seed", "device", "threads", "data", "teacher")})


def in_order(cells: list[Cell]) -> list[Cell]:
    """The first cell of every teacher, then the others, each as they stand in the grid."""
    seen: set[str] = set()
    first = [cell for cell in cells if not (teacher_group(cell) in seen or seen.add(teacher_group(cell)))]
    return first + [cell for cell in cells if cell not in first]


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
    done: int = 0

    def run(self, cells: list[Cell]) -> None:
        """Work off cells, which are neither finished nor refused."""
        self.waiting, total = in_order(cells), len(cells)
        try:
            while self.waiting or self.running:
                for cell in self._startable():
                    self.running.append(cell)
                    self.workers.start(cell)
                for cell, end in self.workers.ended(LOOK_SECONDS):
                    self.running.remove(cell)
                    self._judge(cell, end, total)
        finally:
            self.workers.close()

    def _startable(self) -> list[Cell]:
        """The next cells, taken out of those that wait: at most one of a teacher that is not finished."""
        training = {teacher_group(cell) for cell in self.running if not self.sweep.has_teacher(cell)}
        chosen: list[Cell] = []
        room = self.workers.room()
        for cell in list(self.waiting):
            group = teacher_group(cell)
            if len(chosen) >= room or group in training or self.sweep.in_use(cell):
                continue
            chosen.append(cell)
            self.waiting.remove(cell)
            if not any(self.sweep.has_teacher(other) for other in self._group(group)):
                training.add(group)
        return chosen

    def _group(self, group: str) -> list[Cell]:
        return [cell for cell in self.sweep.grid.cells if teacher_group(cell) == group]

    def _judge(self, cell: Cell, end: str, total: int) -> None:
        """What the run folder says of a cell whose process ended."""
        state = self.sweep.state(cell)
        if state in ("finished", "refused"):
            self.done += 1
            self.log.line(f"{self.done}/{total} {cell.name}: {_found(self.sweep.row(cell))}")
        elif self.sweep.in_use(cell):
            self.waiting.append(cell)  # another sweep was quicker
        else:
            self.tries[cell.name] += 1
            tried, said = self.tries[cell.name], _last_lines(self.sweep, cell)
            again = tried < self.attempts
            what = "tried again" if again else f"given up after {tried} attempts"
            self.log.line(f"{cell.name}: {end}; {what}. {self.sweep.log(cell)} ends with:\n{said}")
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
