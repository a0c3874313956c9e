"""INT8 for ONNX Runtime on CPUs: quantise/dequantise nodes with uint8 activations and int8 weights (U8S8).

This is the dialect that ONNX Runtime runs fast on x86; TensorRT needs another, so a file made here is for `ort` alone.
"""

import logging
from pathlib import Path

import numpy as np

from edgefair.errors import ArtefactError, require
from edgefair.files import atomic_path
from edgefair.recipe import QuantizeRecipe


def quantize_u8s8(source: Path, target: Path, images: np.ndarray, recipe: QuantizeRecipe, batch: int) -> None:
    """Write `source` with Q/DQ nodes to `target`: per-channel int8 weights, per-tensor uint8 activations.

    images: uint8 [N, 3, S, S] whose activations set the ranges, read `batch` at a time; N must be a multiple of it,
    because the entropy and percentile calibrators fail on a smaller last batch. Raises ArtefactError where ONNX Runtime
    cannot calibrate the graph.
    """
    quantization = require("onnxruntime.quantization", "onnx", "INT8 quantisation")
    preprocess = require("onnxruntime.quantization.shape_inference", "onnx", "INT8 quantisation").quant_pre_process
    methods = {"minmax": "MinMax", "entropy": "Entropy", "percentile": "Percentile"}
    if len(images) % batch:
        raise ArtefactError(
            f"{len(images)} calibration rows cannot be read {batch} at a time without a smaller last batch."
        )
    with atomic_path(target) as temporary, _quiet():
        prepared = temporary.with_suffix(".prepared.onnx")
        try:
            preprocess(str(source), str(prepared), skip_symbolic_shape=True)
            quantization.quantize_static(
                str(prepared),
                str(temporary),
                _Reader(images, batch),
                quant_format=quantization.QuantFormat.QDQ,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                per_channel=True,
                nodes_to_exclude=_normalisation(prepared),
                reduce_range=recipe.reduce_range,
                calibrate_method=quantization.CalibrationMethod[methods[recipe.method]],
            )
        except ValueError as error:
            raise ArtefactError(
                f"ONNX Runtime cannot calibrate the graph with method '{recipe.method}' ({error}). "
                "Try quantize.method = 'minmax', or more quantize.rows_per_cell."
            ) from error
        finally:
            prepared.unlink(missing_ok=True)


def _normalisation(path: Path) -> list[str]:
    """Names of the nodes before the first convolution: they scale pixels; constants of eight bits would shift all."""
    names = []
    for node in require("onnx", "onnx", "INT8 quantisation").load(path).graph.node:
        if node.op_type in ("Conv", "Gemm", "MatMul"):
            break
        names.append(node.name)
    return names


class _Reader:
    """Feeds calibration rows, a batch at a time; ONNX Runtime asks for no base class but these two methods."""

    def __init__(self, images: np.ndarray, batch: int):
        self.batches = iter(images.reshape(-1, batch, *images.shape[1:]))

    def get_next(self) -> dict[str, np.ndarray] | None:
        part = next(self.batches, None)
        return None if part is None else {"images": part}

    def __iter__(self):
        return self

    def __next__(self) -> dict[str, np.ndarray]:
        if (part := self.get_next()) is None:
            raise StopIteration
        return part


class _quiet:
    """Hide the quantiser's advice on the root logger (it asks for what was done already); put the level back."""

    def __enter__(self):
        self.level = logging.getLogger().level
        logging.getLogger().setLevel(logging.ERROR)

    def __exit__(self, *_):
        logging.getLogger().setLevel(self.level)
