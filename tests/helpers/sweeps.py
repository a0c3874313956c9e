"""Grids whose cells run in seconds, and what their processes leave."""

import os
from pathlib import Path

import tomli_w

from edgefair.pipeline.sweep.folder import SweepFolder
from edgefair.pipeline.sweep.grid import read_grid
from edgefair.recipe import assign
from tests.helpers.recipes import TINY

SMALL = {"data.train_rows": 150, "data.validation_rows": 50, "data.gate_rows": 50, "deploy.precisions": ["fp32"]}
SMALL |= {"data.calibration_rows": 50, "bench.batches": [1], "gate.replicates": 100, "teacher.epochs": 1}


def small_sweep(folder: Path, grid: dict, **base) -> tuple[Path, SweepFolder]:
    """A grid's file of small cells, and the sweep of it in a folder beside; dots in names as double underscores."""
    values: dict = {}
    for name, value in {**TINY, **SMALL, **{key.replace("__", "."): value for key, value in base.items()}}.items():
        assign(values, name, value)
    file = folder / "grid.toml"
    file.write_text(tomli_w.dumps({"base": values, "grid": grid}))
    return file, SweepFolder(folder / "sweep", read_grid(file))


def processes_of(word: str) -> dict[int, int]:
    """The processes that have a word in their arguments, each with its parent."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if word in arguments and int(folder.name) != os.getpid():
            found[int(folder.name)] = parent
    return found
