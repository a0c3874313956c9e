"""Which cell runs when, what is tried again and what is not; the processes are played, then real ones."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from edgefair import __version__
from edgefair.errors import RecipeError
from edgefair.files import write_record
from edgefair.pipeline.records import Stage
from edgefair.pipeline.run_folder import RunFolderInUse
from edgefair.pipeline.sweep import cell as one_cell
from edgefair.pipeline.sweep import workers
from edgefair.pipeline.sweep.folder import SweepFolder
from edgefair.pipeline.sweep.grid import expand
from edgefair.pipeline.sweep.run import run_sweep
from edgefair.pipeline.sweep.schedule import Schedule
from edgefair.pipeline.sweep.workers import Pool, local_slots, visible_gpus


def finish(sweep, cell):
    """The files by which a run folder says that it is finished."""
    for name in ("report.json", "MODEL_CARD.md"):
        (sweep.run(cell) / name).parent.mkdir(parents=True, exist_ok=True)
        (sweep.run(cell) / name).write_text("")


def train_teacher(sweep, cell):
    write_record(sweep.run(cell) / "teacher" / "stage.json", Stage, {"schema": 1, "finished": True})


class Played:
    """Workers whose cells end when the test's plan says so, one at a time."""

    def __init__(self, sweep, most, plan):
        self.sweep, self.most, self.plan = sweep, most, plan
        self.running, self.started, self.closed = [], [], False

    def room(self):
        return self.most - len(self.running)

    def start(self, cell):
        self.running.append(cell)
        self.started.append(cell)

    def ended(self, seconds):
        if not self.running:
            return []
        cell = self.running.pop(0)
        self.plan(cell, self.started.count(cell))
        return [(cell, "exit code 1")]

    def close(self):
        self.closed = True


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """Two teachers with two cells each, of which nothing is there."""
    monkeypatch.setattr(SweepFolder, "row", lambda *_: {"state": "refused", "reason": ""})
    found = SweepFolder(tmp_path / "sweep", expand({"grid": {"seed": [0, 1], "strategy": {"lam": [0.25, 1.0]}}}))
    found.write_grid()
    return found


def schedule(sweep, quiet, plan, most=4, attempts=3):
    played = Played(sweep, most, plan)
    work = Schedule(sweep, played, attempts, quiet)
    work.run(list(sweep.grid.cells))
    assert played.closed
    return played.started, work.given_up


def seeds(cells):
    return [cell.recipe.seed for cell in cells]


def test_every_teacher_begins_first_and_nobody_waits_for_one(sweep, quiet):
    running = []

    def plan(cell, tried):
        train_teacher(sweep, cell)
        finish(sweep, cell)

    started, given_up = schedule(sweep, quiet, plan)
    assert seeds(started) == [0, 1, 0, 1]
    assert (given_up, running) == ({}, [])


def test_a_cell_starts_as_soon_as_its_teacher_is_there(sweep, quiet):
    first = sweep.grid.cells[0]
    train_teacher(sweep, first)
    started, _ = schedule(sweep, quiet, lambda cell, _: finish(sweep, cell), most=3)
    assert seeds(started[:3]) == [0, 1, 0]


def test_what_breaks_is_tried_again_and_given_up_and_what_is_refused_is_not(sweep, quiet):
    broken, hopeless, refused, good = sweep.grid.cells

    def plan(cell, tried):
        if cell == refused:
            sweep.refuse(cell, "no such data")
        elif cell == good or (cell == broken and tried == 2):
            finish(sweep, cell)

    started, given_up = schedule(sweep, quiet, plan, most=1)
    assert [started.count(cell) for cell in sweep.grid.cells] == [2, 3, 1, 1]
    assert given_up == {hopeless.name: "exit code 1"}


def test_a_cell_that_another_sweep_works_on_is_waited_for(sweep, quiet):
    busy = sweep.grid.cells[0]
    sweep.run(busy).mkdir(parents=True)
    lock = FileLock(sweep.run(busy) / ".lock")
    lock.acquire()

    def plan(cell, tried):
        assert cell != busy
        finish(sweep, cell)
        if len([one for one in sweep.grid.cells if sweep.state(one) == "finished"]) == 3:
            finish(sweep, busy)  # the other sweep's process ends
            lock.release()

    started, given_up = schedule(sweep, quiet, plan, most=1)
    assert (len(started), given_up) == (3, {})


def test_a_refused_cell_is_remembered_until_it_is_allowed_again_or_the_version_changes(sweep, quiet, monkeypatch):
    for cell in sweep.grid.cells:
        sweep.refuse(cell, "no such data")
    assert run_sweep(sweep, quiet) == {}
    monkeypatch.setattr("edgefair.pipeline.sweep.folder.__version__", f"{__version__}.1")
    assert {sweep.state(cell) for cell in sweep.grid.cells} == {"new"}
    monkeypatch.undo()
    sweep.allow(sweep.grid.cells[0])
    assert sweep.state(sweep.grid.cells[0]) == "new"


@pytest.mark.parametrize(("error", "state"), [(RecipeError("no"), "refused"), (RunFolderInUse("busy"), "new")])
def test_what_the_user_must_mend_is_noted_and_a_busy_folder_is_not(sweep, quiet, monkeypatch, error, state):
    def fail(*_):
        raise error

    monkeypatch.setattr(one_cell, "distill_and_export", fail)
    with pytest.raises(type(error)):
        one_cell.run_cell(sweep, sweep.grid.cells[0], quiet)
    assert sweep.state(sweep.grid.cells[0]) == state


def test_slots_fill_the_cores_or_the_gpus(sweep, monkeypatch):
    cells = sweep.grid.cells
    assert local_slots(cells, None, 1.0, lambda: 4) == [""] * 4
    assert local_slots(cells, 3, 1.0, lambda: 4) == [""] * 3
    several = expand({"base": {"threads": 3}}).cells
    assert local_slots(several, None, 1.0, lambda: 8) == [""] * 2
    on_gpu = expand({"base": {"device": "cuda"}}).cells
    assert on_gpu[0].recipe.threads == 0
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    assert visible_gpus() == ["2", "5"]
    assert local_slots(on_gpu, None, 0.5, lambda: 8) == ["2", "5", "2", "5"]
    assert local_slots(on_gpu, 3, 1.0, lambda: 8) == ["2", "5", "2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert local_slots(on_gpu, None, 0.5, lambda: 8) == [""]


def alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


CELL = """
import os, sys, time
from edgefair.pipeline.sweep.cell import end_with_parent
end_with_parent()
open(sys.argv[1], "w").write(f"{os.getpid()} {os.environ['OMP_NUM_THREADS']}\\n")
while not os.path.exists(sys.argv[2]):
    time.sleep(0.01)
"""


@pytest.fixture
def pool(sweep, monkeypatch, tmp_path):
    """A pool of two whose cells write their process's number, and end when a file `end` appears."""

    def command(_, cell):
        return ["-c", CELL, str(tmp_path / f"started{cell.number}"), str(tmp_path / "end")]

    monkeypatch.setattr(workers, "cell_command", command)
    found = Pool(sweep, ["", ""])
    yield found
    found.close()


def begun(folder, number):
    """The number of a cell's process and its threads, once it runs."""
    file = folder / f"started{number}"
    while not (file.exists() and file.read_text().endswith("\n")):
        time.sleep(0.01)
    return tuple(map(int, file.read_text().split()))


@pytest.mark.slow
def test_processes_of_a_pool_run_side_by_side_and_end_with_it(pool, tmp_path):
    cells = pool.sweep.grid.cells
    for cell in cells[:2]:
        pool.start(cell)
    assert pool.room() == 0
    (first, threads), (second, _) = begun(tmp_path, 0), begun(tmp_path, 1)
    assert threads == 1
    assert pool.ended(0) == []
    os.kill(first, signal.SIGKILL)
    assert pool.ended(60) == [(cells[0], "killed by signal 9")]
    assert pool.room() == 1
    pool.start(cells[2])
    third, _ = begun(tmp_path, 2)
    pool.close()
    assert not alive(second)
    assert not alive(third)
    assert " started on " in pool.sweep.log(cells[0]).read_text()


@pytest.mark.slow
def test_a_process_that_ends_by_itself_is_told_with_its_code(pool, tmp_path):
    (tmp_path / "end").touch()
    pool.start(pool.sweep.grid.cells[0])
    assert pool.ended(60) == [(pool.sweep.grid.cells[0], "exit code 0")]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="processes are killed by signals")
def test_a_cell_does_not_outlive_a_driver_that_is_killed(tmp_path):
    driver = f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", {CELL!r}, {str(tmp_path / "started0")!r}, "never"], stdin=subprocess.PIPE)
time.sleep(600)
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-c", driver], env=environment, cwd=Path(__file__).parents[3])
    cell, _ = begun(tmp_path, 0)
    process.kill()
    process.wait()
    while alive(cell):
        time.sleep(0.01)
