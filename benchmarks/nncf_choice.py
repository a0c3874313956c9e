"""What a user would take instead: NNCF's choice of operators in float, which looks at accuracy alone.

`nncf.quantize_with_accuracy_control` on OpenVINO's backend; NNCF is no dependency of edgefair: pip install nncf.
"""

import logging
import os
from pathlib import Path

import numpy as np

from edgefair.export.mixed_precision.ranking_rows import RankingRows
from edgefair.runtimes import load_runtime

WEIGHTED = ("Convolution", "GroupConvolution", "MatMul")
BATCH = 50


def why_not() -> str:
    """Why NNCF cannot be asked here; "" where it can."""
    try:
        import nncf  # noqa: F401
    except ImportError as error:
        return f"NNCF cannot be imported ({error}): pip install nncf"
    return ""


def nncf_file(source: Path, target: Path, calibration: np.ndarray, rows: RankingRows, max_drop: float) -> int:
    """Write NNCF's INT8 model, held to an accuracy drop on the ranking rows; returns its operators in float."""
    os.environ.setdefault("TQDM_DISABLE", "1")
    import nncf
    import openvino

    nncf.set_log_level(logging.ERROR)
    parts = [slice(at, at + BATCH) for at in range(0, len(rows.labels), BATCH)]
    pairs = [(rows.images[part], rows.labels[part]) for part in parts]

    def accuracy(model, data) -> tuple[float, list[float]]:
        run = model if callable(model) else openvino.Core().compile_model(model, "CPU")
        right = [run(images)[0].argmax(1) == labels for images, labels in data]
        return float(np.concatenate(right).mean()), [float(part.mean()) for part in right]

    model = nncf.quantize_with_accuracy_control(
        openvino.Core().read_model(str(source)),
        calibration_dataset=nncf.Dataset([calibration[at : at + BATCH] for at in range(0, len(calibration), BATCH)]),
        validation_dataset=nncf.Dataset(pairs, lambda pair: pair[0]),
        validation_fn=accuracy,
        max_drop=max_drop,
        drop_type=nncf.DropType.ABSOLUTE,
        subset_size=-(-len(calibration) // BATCH),
    )
    openvino.save_model(model, target, compress_to_fp16=False)
    return sum(_in_float(node) for node in model.get_ops())


def _in_float(node) -> bool:
    """Whether a node has weights and reads its input in float."""
    if node.get_type_name() not in WEIGHTED:
        return False
    return node.input_value(0).get_node().get_type_name() != "FakeQuantize"


def nncf_runtime(target: Path):
    """The model on OpenVINO, one thread, computing in float where it is not quantised."""
    return load_runtime("openvino", target, 1)
