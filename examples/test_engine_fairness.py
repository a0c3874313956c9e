"""A fairness regression test as it stands in the repository that ships an engine.

    python -m pytest examples/test_engine_fairness.py                                # a test as any other
    python -m pytest examples/test_engine_fairness.py --edgefair-update-baseline     # after a change that was meant

The engine is an INT8 file, made here from the float file that it must stay as good and as fair as. The committed
`fairness-baseline.json` says what it did when somebody last looked, and what it may lose.
"""

from pathlib import Path

import numpy as np
import pytest

from edgefair.data import load_examples
from edgefair.export.quantization import quantize
from edgefair.gate import Tolerance
from edgefair.log import Log
from edgefair.recipe import Recipe, parse
from edgefair.testing import predict_engine

FLOAT = Path(__file__).parents[1] / "tests" / "fairness_regression" / "engines" / "student.onnx"
ROWS = {"train_rows": 10, "meta_rows": 0, "validation_rows": 10, "calibration_rows": 200, "gate_rows": 4000}


@pytest.fixture(scope="module")
def examples():
    """Rendered rows; in your repository, your own labelled images."""
    return load_examples(parse({"data": ROWS}).data, 7, Log(quiet=True))


@pytest.fixture(scope="module")
def engine(examples, tmp_path_factory) -> Path:
    """What ships; in your repository, the file that your build makes."""
    path = tmp_path_factory.mktemp("engine") / "int8.onnx"
    images = np.asarray(examples.images[examples.rows["calibration"]])
    quantize(FLOAT, path, images, "ort-cpu", Recipe().quantize, 20)
    return path


def predictions(path: Path, examples):
    """What a file says of the rows that are kept for judging."""
    rows = examples.rows["gate"]
    labelled = (np.asarray(examples.images[rows]), examples.labels[rows], examples.groups[rows])
    return predict_engine(path, *labelled, examples.class_names, examples.group_names, threads=1)


def test_int8_is_as_good_and_as_fair_as_float(engine, examples, fairness_baseline):
    reference, shipped = predictions(FLOAT, examples), predictions(engine, examples)
    fairness_baseline.check("int8", shipped, reference=reference, tolerance=Tolerance(flip_rate_percent=1.0))
