"""The exported engine of this repository, the rows it is judged on, and how to run an engine on them."""

from pathlib import Path

import numpy as np
import pytest

from edgefair.data import Examples, load_examples
from edgefair.export.quantization import quantize
from edgefair.log import Log
from edgefair.predictions import Predictions
from edgefair.recipe import parse
from edgefair.testing import predict_engine

ENGINES = Path(__file__).parent / "engines"
SEED = 7
DATA = {"train_rows": 10, "meta_rows": 0, "validation_rows": 10, "calibration_rows": 400, "gate_rows": 4000}


@pytest.fixture(scope="session")
def examples(cache) -> Examples:
    """4,000 gate rows and 400 calibration rows, rendered by seed: no image is committed."""
    return load_examples(parse({"data": DATA}).data, SEED, Log(quiet=True))


@pytest.fixture(scope="session")
def calibration(examples) -> np.ndarray:
    """The images that quantisation may look at, uint8 [400, 3, 32, 32]."""
    return np.asarray(examples.images[examples.rows["calibration"]])


def run(path: Path, examples: Examples, images: np.ndarray | None = None) -> Predictions:
    """Predictions of an engine on the gate rows by ONNX Runtime; `images` stand in for theirs."""
    gate = examples.rows["gate"]
    return predict_engine(
        path,
        np.asarray(examples.images[gate]) if images is None else images,
        examples.labels[gate],
        examples.groups[gate],
        examples.class_names,
        examples.group_names,
        ids=examples.ids[gate],
        threads=1,
    )


def quantized(images: np.ndarray, path: Path) -> Path:
    """The committed engine in INT8, its ranges taken from `images`."""
    quantize(ENGINES / "student.onnx", path, images, "ort-cpu", parse({}).quantize, 20)
    return path


@pytest.fixture(scope="session")
def student(examples) -> Predictions:
    """The committed engine as it is: the reference of everything else here."""
    return run(ENGINES / "student.onnx", examples)


@pytest.fixture(scope="session")
def int8(examples, calibration, tmp_path_factory) -> Predictions:
    """The engine that ships, in INT8."""
    return run(quantized(calibration[:200], tmp_path_factory.mktemp("int8") / "student.int8.onnx"), examples)
