"""Quantised files in the dialect of what executes them: int8 and fp8 as quantise/dequantise nodes.

    ort-cpu     uint8 activations, all that ONNX Runtime fuses on x86
    tensorrt    signed symmetric, Q/DQ only before weighted nodes and residuals
    openvino    as tensorrt
    fp8         as tensorrt in e4m3, for GPUs of compute capability 8.9 and later

One file cannot serve all: TensorRT misreads uint8 with no more than a warning, and ONNX Runtime on x86 runs signed
activations slower than float.
"""

import platform
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from edgefair.errors import ArtefactError, RecipeError, nearest, require
from edgefair.export.quantization import qdq_ort, qdq_symmetric
from edgefair.export.quantization.calibration import Ranges, calibrate
from edgefair.export.quantization.graph import Graph
from edgefair.export.quantization.lint import blocking, lint_model, summary
from edgefair.export.quantization.preprocess import PURPOSE, prepared
from edgefair.files import atomic_path, sha256
from edgefair.recipe import QuantizeSettings
from edgefair.recipe.targets import TARGETS
from edgefair.runtimes.machine import describe_machine

__all__ = ["DIALECTS", "Dialect", "Ranges", "calibrate", "quantizable", "quantize"]

X86 = ("x86_64", "amd64", "i686", "i386")


@dataclass(frozen=True)
class Dialect:
    """nodes: what can be quantised in a prepared model; write: (model, bounds, names, settings) -> quantised model."""

    nodes: Callable
    write: Callable
    target: str


DIALECTS = {
    "ort-cpu": Dialect(qdq_ort.nodes, qdq_ort.write, "ort-cpu"),
    "tensorrt": Dialect(qdq_symmetric.nodes, partial(qdq_symmetric.write, number=qdq_symmetric.INT8), "tensorrt"),
    "openvino": Dialect(
        qdq_symmetric.nodes, partial(qdq_symmetric.write, number=qdq_symmetric.INT8, sums_of_16_bits=True), "openvino"
    ),
    "fp8": Dialect(qdq_symmetric.nodes, partial(qdq_symmetric.write, number=qdq_symmetric.FP8), "tensorrt"),
}


def quantizable(source: Path, dialect: str, settings: QuantizeSettings) -> list[str]:
    """Names of the nodes of `source` as prepared that the dialect quantises under these settings, in graph order.

    The names are the same for the same source; give some of them to `quantize` as `keep`. Raises RecipeError for an
    unknown dialect or an unknown node in quantize.keep_float.
    """
    return _quantizable(prepared(source), _dialect(dialect), settings)


def quantize(
    source: Path,
    target: Path,
    images: np.ndarray,
    dialect: str,
    settings: QuantizeSettings,
    batch: int,
    keep: Collection[str] = (),
    ranges: Ranges | None = None,
) -> dict:
    """Write `source` quantised in a dialect to `target` and return what was done, as JSON values.

    images: uint8 [N, 3, S, S] whose activations set the ranges, `batch` at a time; `ranges` from `calibrate` instead
    save that work, and images are not read then. keep: nodes that stay in float besides those of the settings; with all
    of `quantizable` the file computes what `source` does. Raises RecipeError for an unknown dialect or node,
    ArtefactError for ranges of another file or a graph that cannot be quantised.
    """
    rules, model, settings = _dialect(dialect), prepared(source), resolve_reduce_range(settings)
    names = _quantizable(model, rules, settings)
    _check_known(keep, [node.name for node in model.graph.node], "keep")
    chosen = [name for name in names if name not in set(keep)]
    facts = {
        "dialect": dialect,
        "quantised": len(chosen),
        "kept": [name for name in names if name in set(keep)],
        "kept_by_recipe": [node.name for node in rules.nodes(model) if node.name not in names],
        "weight_bits": 7 if settings.reduce_range and not TARGETS[rules.target].gpu else 8,
    }
    ranges = ranges or calibrate(source, images, settings, batch, cache=Path(target).parent)
    if ranges.source_sha256 != sha256(source):
        raise ArtefactError(f"the ranges were found on another file than {source}; calibrate again.")
    with atomic_path(target) as temporary:
        made = rules.write(model, ranges.bounds, set(chosen), settings) if chosen else model
        findings = [one for one in lint_model(made) if one.target == rules.target]
        _check_findings(dialect, blocking(findings))
        require("onnx", "onnx", PURPOSE).save(made, temporary)
    return facts | ranges.facts() | {"lint": summary(findings)}


def _check_findings(dialect: str, findings: list) -> None:
    """Raise ArtefactError for a file that its own target would reject or misread."""
    if findings:
        reasons = "; ".join(f"{one['nodes'][0]}: {one['severity']}, {one['message']}" for one in summary(findings))
        raise ArtefactError(
            f"the file in dialect '{dialect}' would not run as it says on {findings[0].target} ({reasons}). "
            "Leave these nodes in float with quantize.keep_float, or report the network."
        )


def resolve_reduce_range(settings: QuantizeSettings) -> QuantizeSettings:
    """The settings with reduce_range decided: on for an x86 processor without VNNI, with 16-bit sums of products.

    There 255 * 127 * 2 does not fit and is cut without a warning, in ONNX Runtime and in OpenVINO; 255 * 64 * 2 does.
    """
    if settings.reduce_range != "auto":
        return settings
    exact = {"avx512_vnni", "avx_vnni", "amx_int8"} & set(describe_machine()["instructions"])
    return settings.model_copy(update={"reduce_range": platform.machine().lower() in X86 and not exact})


def _dialect(name: str) -> Dialect:
    if name not in DIALECTS:
        raise RecipeError(f"unknown dialect '{name}'; {nearest(name, DIALECTS)}")
    return DIALECTS[name]


def _quantizable(model, dialect: Dialect, settings: QuantizeSettings) -> list[str]:
    float_nodes = set(_kept_by_settings(model, settings))
    return [node.name for node in dialect.nodes(model) if node.name not in float_nodes]


def _kept_by_settings(model, settings: QuantizeSettings) -> list[str]:
    """Nodes that quantize.keep_float leaves in float."""
    if settings.keep_float == "none":
        return []
    if settings.keep_float != "auto":
        _check_known(settings.keep_float, [node.name for node in model.graph.node], "quantize.keep_float")
        return list(settings.keep_float)
    graph = Graph(model.graph)
    gates = graph.squeeze_excitation()
    return [node.name for nodes in (*gates, graph.head() if gates else []) for node in nodes]


def _check_known(asked: Collection[str], known: list[str], where: str) -> None:
    for name in asked:
        if name not in known:
            raise RecipeError(f"{where} names the node '{name}', which the graph does not have; {nearest(name, known)}")
