"""A sweep's folder, and what its run folders say of each cell.

grid.toml                 the grid with its base written out; another grid adds its cells to those that are there
runs/NAME/                a run folder a cell
teachers/                 the teachers that cells share (pipeline/teacher_store.py)
logs/NAME.log             what the cell's processes said
logs/NAME.refused.json    why a cell cannot be run as it is
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tomli_w

from edgefair import __version__
from edgefair.errors import RecipeError, RunFolderError, nearest
from edgefair.files import read_record, read_values, write_bytes, write_record
from edgefair.pipeline.run_folder import AGAIN, stage_record
from edgefair.pipeline.sweep.grid import Cell, Grid
from edgefair.pipeline.sweep.records import Refused
from edgefair.recipe.recipe import WRITTEN_BY
from edgefair.report.records import Report

State = Literal["finished", "refused", "begun", "new"]


@dataclass(frozen=True)
class SweepFolder:
    """The folder and the grid that is worked off in it."""

    path: Path
    grid: Grid

    @property
    def teachers(self) -> Path:
        """The store of teachers."""
        return self.path / "teachers"

    def write_grid(self) -> None:
        """Write grid.toml, unless it says the same; raises RunFolderError where the folder is something else's."""
        stored, text = self.path / "grid.toml", f"{WRITTEN_BY}{__version__}\n{tomli_w.dumps(self.grid.values)}"
        # Not what begins with a dot: of many jobs that begin together, each may be about to write the grid.
        names = [path.name for path in self.path.glob("[!.]*")]
        if names and "grid.toml" not in names:
            raise RunFolderError(
                f"{self.path} is not empty and holds no grid.toml. Choose a new folder, or that of a sweep, with --out."
            )
        if not stored.exists() or stored.read_text("utf-8") != text:
            write_bytes(stored, text.encode())

    def run(self, cell: Cell) -> Path:
        """The run folder of a cell."""
        return self.path / "runs" / cell.name

    def log(self, cell: Cell) -> Path:
        """What the processes of a cell said."""
        return self.path / "logs" / f"{cell.name}.log"

    def cell(self, which: str) -> Cell:
        """The cell of a number, counted from 0, or of a name; raises RecipeError where there is none."""
        cells = self.grid.cells
        for cell in cells:
            if which in (str(cell.number), cell.name):
                return cell
        known = f"the grid has cells 0 to {len(cells) - 1}" if which.isdecimal() else nearest(which, _names(cells))
        raise RecipeError(f"--cell {which}: there is no such cell; {known}")

    def state(self, cell: Cell) -> State:
        """What is there of a cell."""
        run = self.run(cell)
        if (run / "MODEL_CARD.md").exists() and (run / "report.json").exists():  # the card is written last of all
            return "finished"
        if self.refusal(cell):
            return "refused"
        return "begun" if run.exists() else "new"

    def in_use(self, cell: Cell) -> bool:
        """Whether some process, on whatever machine, works on a cell."""
        from filelock import FileLock, Timeout  # not at the top: see RunFolder.open

        file = self.run(cell) / ".lock"
        if not file.exists():
            return False
        try:
            with FileLock(file).acquire(timeout=0):
                return False
        except Timeout:
            return True

    def has_teacher(self, cell: Cell) -> bool:
        """Whether the cell's teacher is finished."""
        return stage_record(self.run(cell) / "teacher").finished

    def refusal(self, cell: Cell) -> str:
        """Why this version refused a cell; "" where it did not."""
        file = self._refusal_file(cell)
        if not file.exists():
            return ""
        record = read_record(file, Refused, "Remove it to have the cell tried again.", RunFolderError)
        return record.reason if record.edgefair == __version__ else ""

    def refuse(self, cell: Cell, reason: str) -> None:
        """Note why a cell cannot be run as it is."""
        write_record(self._refusal_file(cell), Refused, {"schema": 1, "edgefair": __version__, "reason": reason})

    def allow(self, cell: Cell) -> None:
        """Forget why a cell was refused."""
        self._refusal_file(cell).unlink(missing_ok=True)

    def _refusal_file(self, cell: Cell) -> Path:
        return self.path / "logs" / f"{cell.name}.refused.json"

    def row(self, cell: Cell) -> dict[str, Any]:
        """A cell for the table: number, name, varied settings, state, and what its student reached, rates 0 to 1."""
        state = self.state(cell)
        row = {"number": cell.number, "name": cell.name, "settings": cell.varied, "state": state}
        if state == "finished":
            report = read_values(self.run(cell) / "report.json", Report, AGAIN, RunFolderError)
            metrics = next(one["metrics"] for one in report["artefacts"] if one["artefact"] == "student")
            gap = metrics["disparities"]["mean_abs_disparity"]
            row |= {"outcome": report["outcome"], "accuracy": metrics["scores"]["accuracy"]["value"]}
            row |= {"gap": gap["value"], "floor": gap["floor"]}
        elif state == "refused":
            row["reason"] = self.refusal(cell)
        return row


def _names(cells: tuple[Cell, ...]) -> list[str]:
    return [cell.name for cell in cells]
