"""A sweep on two Ray nodes on this machine, of which one is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import edgefair
from edgefair.data import load_examples
from edgefair.files import sha256
from edgefair.pipeline.run_folder import RunFolder
from edgefair.pipeline.training_stages import training_stages
from tests.helpers.run_records import WEIGHTS
from tests.helpers.sweeps import processes_of, small_sweep

ROOT = Path(edgefair.__file__).parents[1]
NODE = {"num_cpus": 1, "object_store_memory": 80 << 20}


@pytest.fixture
def two_nodes(monkeypatch):
    """A cluster of two nodes of one core each, and its second node."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'edgefair[sweep]'")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # as quick as the tests beside it
    cluster = Cluster(initialize_head=True, head_node_args=NODE | {"include_dashboard": False})
    yield cluster, cluster.add_node(**NODE)
    cluster.shutdown()


def started(sweep, cell):
    """Where each process of a cell was started, by the first line of its log."""
    log = sweep.log(cell)
    lines = log.read_text().splitlines() if log.exists() else []
    return [line.rpartition("node ")[2] for line in lines if " started on " in line]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes in /proc, which this system has not")
def test_a_killed_node_loses_only_its_cell_which_goes_on_elsewhere_and_ends_as_alone(tmp_path, two_nodes, quiet):
    cluster, second = two_nodes
    file, sweep = small_sweep(tmp_path, {"strategy.lam": [0.25, 1.0], "seed": [0, 1]}, train__epochs=6)
    arguments = ["sweep", str(file), "--out", str(sweep.path), "--address", cluster.address]
    command = [sys.executable, "-m", "edgefair", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)

    def on_second():
        for cell in sweep.grid.cells:
            if second.node_id in started(sweep, cell) and (sweep.run(cell) / "student/checkpoint.pt").exists():
                return cell

    try:
        while not (killed := on_second()) and process.poll() is None:
            time.sleep(0.03)
        assert killed, process.communicate()[0]
        workers = processes_of(killed.name).values()
        cluster.remove_node(second, allow_graceful=False)
        for worker in workers:  # what a node runs ends with it; here they would notice by themselves, but not at once
            os.kill(worker, signal.SIGKILL)
        output, _ = process.communicate()
        assert process.returncode == 0, output
    finally:
        process.kill()
    for cell in sweep.grid.cells:
        places = started(sweep, cell)
        if cell == killed:
            assert places == [second.node_id, cluster.head_node.node_id]
            assert "student: resuming after epoch" in sweep.log(cell).read_text()
        else:
            assert len(places) == 1
    assert len(list(sweep.teachers.iterdir())) == 2

    for cell in sweep.grid.cells:
        alone = tmp_path / "alone" / cell.name
        with RunFolder.open(alone, cell.recipe, quiet) as run:
            examples = load_examples(cell.recipe.data, cell.recipe.seed, quiet)
            training_stages(run, examples, examples.describe())
        for name in WEIGHTS:
            assert sha256(sweep.run(cell) / name) == sha256(alone / name), (cell.name, name)

    before = {path: path.stat().st_mtime_ns for path in sweep.path.rglob("*")}
    again = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert again.returncode == 0
    assert "4 finished" in again.stderr
    assert {path: path.stat().st_mtime_ns for path in sweep.path.rglob("*")} == before
