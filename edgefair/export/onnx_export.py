"""The student as one ONNX file: uint8 NCHW in, logits out, checked, and compared with PyTorch; in fp32 or fp16."""

import contextlib
import copy
import io
import logging
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from edgefair.errors import ArtefactError
from edgefair.files import atomic_path
from edgefair.models import Classifier
from edgefair.recipe import ExportSettings
from edgefair.runtimes import load_runtime

BATCHES = (1, 3, 8)


class _Logits(nn.Module):
    def __init__(self, model: Classifier):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images).logits


class _HalfLogits(nn.Module):
    """Pixels scaled in fp32, the network in fp16, logits as fp32: what strongly typed engines execute as it stands."""

    def __init__(self, model: Classifier):
        super().__init__()
        self.model = copy.deepcopy(model)
        for module in self.model.backbone.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                _unit_variance(module)
        self.model.backbone.half()

    def forward(self, images: Tensor) -> Tensor:
        pixels = images.to(self.model.scale.dtype) * self.model.scale + self.model.shift
        return self.model.backbone(pixels.half(), False).logits.float()


@torch.no_grad()
def _unit_variance(norm: nn.modules.batchnorm._BatchNorm) -> None:
    """Put 1 / sqrt(variance + eps) into the weight, in fp32: a variance over 65,504 has no number in fp16."""
    if norm.running_var is None:
        return
    scale = (norm.running_var + norm.eps).rsqrt()
    norm.weight = nn.Parameter(scale if norm.weight is None else norm.weight * scale)
    if norm.bias is None:
        norm.bias = nn.Parameter(torch.zeros_like(scale))
    norm.running_var.fill_(1 - norm.eps)


WRAPPERS = {"fp32": _Logits, "fp16": _HalfLogits}
PARITY_FIELDS = {"fp32": "parity", "fp16": "parity_fp16"}
WHY = {
    "parity": "The network may use an operation that exports inexactly.",
    "parity_fp16": "The network may need numbers that fp16 does not have; leave fp16 out by naming the others, such as "
    "--precision fp32 --precision int8, with a new --out.",
}


def export_onnx(
    model: Classifier,
    images: np.ndarray,
    settings: ExportSettings,
    path: Path,
    names: dict[str, list[str]],
    precision: str = "fp32",
) -> dict:
    """Write `model` with a dynamic batch to `path` and return how far its logits are from PyTorch's in fp32.

    images: uint8 [>= 8, 3, S, S] to compare on, at batch sizes 1, 3 and 8. settings: operator set and
    parity. names: text lists for the file's metadata. precision: fp32 or fp16 (input, scaling of the pixels and logits
    stay as they are).
    Raises ArtefactError where onnx.checker refuses the file or max |difference| > parity * max |logit|.
    """
    model = model.cpu().eval()
    model.to(memory_format=torch.contiguous_format)
    example = torch.from_numpy(np.ascontiguousarray(images[:2]))
    with atomic_path(path) as temporary:
        _write(WRAPPERS[precision](model).eval(), example, settings.opset, temporary, names)
        parity = _compare(model, images, temporary)
        check_parity(parity, settings, PARITY_FIELDS[precision])
    return {"opset": settings.opset, "parity": parity, "nodes": len(onnx.load(path).graph.node)}


def check_parity(parity: dict[str, float], settings: ExportSettings, field: str) -> None:
    """Raise ArtefactError unless every difference is within the recipe's field; NaN is not."""
    worst, allowed = (
        max(parity.values(), key=lambda value: np.inf if np.isnan(value) else value),
        getattr(settings, field),
    )
    if not worst <= allowed:
        raise ArtefactError(
            f"the exported logits differ from PyTorch's by {worst:.2g} of the largest logit "
            f"({', '.join(f'{value:.2g} at batch {size}' for size, value in parity.items())}); allowed is "
            f"export.{field} = {allowed:g}. {WHY[field]}"
        )


def _write(module: nn.Module, example: Tensor, opset: int, path: Path, names: dict[str, list[str]]) -> None:
    batch = torch.export.Dim("batch", min=1)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):  # the exporter prints its progress even when told not to
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            dynamic_shapes=({0: batch},),
            input_names=["images"],
            output_names=["logits"],
            opset_version=opset,
            external_data=False,
            verbose=False,
        )
    graph = program.model_proto
    _strip(graph.graph)
    for key, values in names.items():
        onnx.helper.set_model_props(graph, {**{p.key: p.value for p in graph.metadata_props}, key: "\n".join(values)})
    onnx.save(graph, path)
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except onnx.checker.ValidationError as error:
        raise ArtefactError(f"onnx.checker refuses the exported file: {error}") from error


def _strip(graph: onnx.GraphProto) -> None:
    """Remove the exporter's notes: they hold the paths of this machine, and the file's hash would depend on them."""
    for part in (graph, *graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


@torch.no_grad()
def _compare(model: Classifier, images: np.ndarray, path: Path) -> dict[str, float]:
    """Largest difference as a share of the largest logit, by batch size."""
    differences = {}
    with load_runtime("ort", path) as runtime:
        for size in BATCHES:
            part = np.ascontiguousarray(images[:size])
            expected = model(torch.from_numpy(part)).logits.numpy()
            difference = np.abs(runtime.predict(part) - expected).max()
            differences[str(size)] = float(difference / max(np.abs(expected).max(), 1e-12))
    return differences
