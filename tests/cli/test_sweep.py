"""`edgefair sweep` as it is typed, and the script for Slurm as the guide has it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tomli_w

from edgefair.pipeline.sweep.folder import SweepFolder
from edgefair.pipeline.sweep.grid import read_grid
from edgefair.recipe import named_recipes
from tests.helpers.command_line import run
from tests.helpers.pages import ROOT, blocks

GUIDE = (ROOT / "docs" / "guide" / "sweep.md").read_text()


@pytest.fixture
def grid(tmp_path, monkeypatch):
    """grid.toml of four cells in an empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "grid.toml"
    file.write_text(tomli_w.dumps({"grid": {"strategy.lam": [0.25, 1.0], "seed": [0, 1]}}))
    return SweepFolder(tmp_path / "faces", read_grid(file))


def refuse(grid):
    grid.write_grid()
    for cell in grid.grid.cells:
        grid.refuse(cell, f"no data for cell {cell.number}")


def test_a_dry_run_lists_the_cells_and_writes_nothing(grid, tmp_path, capsys):
    code, text = run(capsys, "sweep", "grid.toml", "--dry-run")
    assert code == 0, text
    assert text.count("not begun") == 4
    assert "4 cells, 2 teachers; they differ in strategy.lam, seed" in text
    assert [path.name for path in tmp_path.iterdir()] == ["grid.toml"]


def test_refused_cells_are_shown_with_their_reason_and_not_run_again(grid, capsys):
    refuse(grid)
    code, text = run(capsys, "sweep", "grid.toml", "--out", "faces")
    assert code == 2, text
    assert text.count("was refused: no data for cell") == 4
    code, text = run(capsys, "sweep", "grid.toml", "--out", "faces", "--cell", "3")
    assert code == 2
    assert "no data for cell 3\nThe cell was refused for that; with --retry-refused it is tried again." in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.toml"], "no grid missing.toml: there is no such file"),
        (["grid.toml", "--out", ".", "--dry-run", "--cell", "4"], "the grid has cells 0 to 3"),
        (["grid.toml", "--out", "."], "is not empty and holds no grid.toml"),
    ],
)
def test_what_is_wrong_is_said(grid, tmp_path, capsys, arguments, message):
    if message.endswith("holds no grid.toml"):
        (tmp_path / "other").mkdir()
        (tmp_path / "grid.toml").rename(tmp_path / "other" / "grid.toml")
        arguments = ["other/grid.toml", *arguments[1:]]
    code, text = run(capsys, "sweep", *arguments)
    assert code == 2
    assert message in text


def test_a_cluster_that_does_not_answer_is_named(grid, capsys):
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'edgefair[sweep]'")
    code, text = run(capsys, "sweep", "grid.toml", "--out", "faces", "--address", "127.0.0.1:9")
    assert code == 2
    assert "no Ray cluster answers at --address 127.0.0.1:9" in text


@pytest.mark.slow
def test_a_cell_whose_data_are_missing_is_refused_by_its_own_process_and_the_others_are_not_stopped(grid, capsys):
    values = {"base": {"data": {"name": "manifest", "path": "missing.csv"}}, "grid": {"seed": [0, 1]}}
    Path("grid.toml").write_text(tomli_w.dumps(values))
    code, text = run(capsys, "sweep", "grid.toml", "--out", "faces", "--workers", "2")
    assert code == 2, text
    assert text.count("refused: cannot read the manifest missing.csv") == 4
    assert "tried again" not in text


def test_the_grid_of_the_guide_and_those_of_named_recipes_are_grids(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("faces.csv").write_text("path,label,group\n")
    Path("grid.toml").write_text(blocks(GUIDE, "toml")[0].text)
    assert len(read_grid(Path("grid.toml")).cells) == 15
    for file in named_recipes.FOLDER.glob("*.grid.toml"):
        assert len(read_grid(file).cells) > 1


def test_the_script_for_slurm_runs_the_cell_of_its_number(grid, tmp_path):
    refuse(grid)
    script = next(block.text for block in blocks(GUIDE, "sh") if block.text.startswith("#!/bin/bash"))
    program = tmp_path / "bin" / "edgefair"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m edgefair "$@"\n')
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    environment |= {"SLURM_ARRAY_TASK_ID": "2", "SLURM_SUBMIT_DIR": str(tmp_path)}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True)
    assert (done.returncode, "no data for cell 2" in done.stderr) == (2, True), done.stderr
    fake = tmp_path / "bin" / "edgefair"
    for code, expected in ((0, 0), (1, 0), (3, 0), (137, 137)):
        fake.write_text(f"#!/bin/sh\nexit {code}\n")
        assert subprocess.run(["bash", "-c", script], env=environment).returncode == expected
