"""Shared by all tests: a cache of their own, and threads that do not spin when the machine is busy."""

import os

# Before torch is imported: waiting threads that spin slow a shared machine down many times over.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
if "PYTEST_XDIST_WORKER" in os.environ:  # several test processes share the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import shutil
from pathlib import Path

import numpy as np
import pytest

from edgefair.log import Log
from tests.helpers.recipes import tiny

REFERENCE = Path(__file__).parent / "reference"


def pytest_collection_modifyitems(items):
    """What neither trains nor reads a run folder is a unit test."""
    for item in items:
        if not any(item.get_closest_marker(tier) for tier in ("slow", "integration", "gpu")):
            item.add_marker(pytest.mark.unit)


@pytest.fixture(scope="session", autouse=True)
def as_wide_as_needed():
    """Output goes to no terminal here, whatever width several test processes are told."""
    before = os.environ.pop("COLUMNS", None)
    yield
    if before is not None:
        os.environ["COLUMNS"] = before


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """Prepared images of this test session; the user's cache is neither read nor written."""
    before = os.environ.get("EDGEFAIR_CACHE")
    os.environ["EDGEFAIR_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["EDGEFAIR_CACHE"]
    else:
        os.environ["EDGEFAIR_CACHE"] = before


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """A finished run folder of distill-and-export with ONNX Runtime's two artefacts; copy it before changing it."""
    from edgefair.pipeline.job import distill_and_export

    few = {"data__train_rows": 200, "teacher__epochs": 0, "loss__alpha": 0.1}
    folder = tmp_path_factory.mktemp("small") / "run"
    distill_and_export(tiny(loss__name="ckd", strategy__name="intra", **few), folder, Log(quiet=True))
    return folder


@pytest.fixture
def quiet() -> Log:
    """A log that says nothing."""
    return Log(quiet=True)


@pytest.fixture
def vector():
    """Load a reference vector by name."""
    return lambda name: np.load(REFERENCE / f"{name}.npz")


@pytest.fixture(scope="session")
def copy_of(tmp_path_factory):
    """The folder of a miniature of a published data set, made once; not to be changed."""
    from tests.helpers import data_copies

    made: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp("data") / name
            made[name].mkdir()
            getattr(data_copies, name)(made[name])
        return made[name]

    return get


@pytest.fixture
def damaged(copy_of, tmp_path):
    """A copy of a miniature that a test may damage."""
    return lambda name: Path(shutil.copytree(copy_of(name), tmp_path / name))
