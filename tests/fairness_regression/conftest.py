"""The exported engine of this repository, the rows it is judged on, and how to run an engine on them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from edgefair.data import load_examples
from edgefair.log import Log
from edgefair.predictions import Predictions
from edgefair.quantize import quantize_u8s8
from edgefair.recipe import parse
from edgefair.testing import predict_engine

ENGINES = Path(__file__).parent / "engines"
SEED = 7
DATA = {"train_rows": 10, "meta_rows": 0, "validation_rows": 10, "calibration_rows": 400, "gate_rows": 4000}


class Rows(NamedTuple):
    """Labelled images, with a second set of images to calibrate with."""

    images: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    ids: np.ndarray
    class_names: tuple[str, ...]
    group_names: tuple[str, ...]
    calibration: np.ndarray


@pytest.fixture(scope="session")
def rows(cache) -> Rows:
    """4,000 gate rows and 400 calibration rows, rendered by seed: no image is committed."""
    examples = load_examples(parse({"data": DATA}).data, SEED, Log(quiet=True))
    gate, calibration = examples.rows["gate"], examples.rows["calibration"]
    return Rows(
        np.asarray(examples.images[gate]),
        examples.labels[gate],
        examples.groups[gate],
        examples.ids[gate],
        examples.class_names,
        examples.group_names,
        np.asarray(examples.images[calibration]),
    )


def run(path: Path, rows: Rows) -> Predictions:
    """Predictions of an engine on the gate rows by ONNX Runtime."""
    return predict_engine(
        path, rows.images, rows.labels, rows.groups, rows.class_names, rows.group_names, ids=rows.ids, threads=1
    )


def quantised(images: np.ndarray, path: Path) -> Path:
    """The committed engine in INT8, its ranges taken from `images`."""
    quantize_u8s8(ENGINES / "student.onnx", path, images, parse({}).quantize, 20)
    return path


@pytest.fixture(scope="session")
def student(rows) -> Predictions:
    """The committed engine as it is: the reference of everything else here."""
    return run(ENGINES / "student.onnx", rows)


@pytest.fixture(scope="session")
def int8(rows, tmp_path_factory) -> Predictions:
    """The engine that ships, in INT8."""
    return run(quantised(rows.calibration[:200], tmp_path_factory.mktemp("int8") / "student.int8.onnx"), rows)
