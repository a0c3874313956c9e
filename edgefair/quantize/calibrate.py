"""Ranges of activations from calibration rows: min-max, percentile or entropy, found once and kept in a file.

A range says what a tensor holds, not how it is written down, so one file of ranges serves every dialect and every
choice of layers that stay in float.
"""

import contextlib
import hashlib
import io
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from edgefair.errors import ArtefactError, require
from edgefair.files import digest, sha256, write_json
from edgefair.quantize.graph import Graph
from edgefair.quantize.prepare import PURPOSE, prepared
from edgefair.recipe import QuantizeRecipe

BINS = {"percentile": 2048, "entropy": 512}
LEVELS = 128  # what an entropy histogram is compared with: the levels of one sign of eight bits


@dataclass(frozen=True)
class Ranges:
    """Lowest and highest value of every float tensor of a prepared graph, as a calibration method sees them.

    method: the one used, never "auto". fallback: tensors whose range is their min-max instead, with the reason.
    """

    source_sha256: str
    images_sha256: str
    rows: int
    method: str
    percentile: float
    bounds: dict[str, tuple[float, float]]
    fallback: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """SHA-256 of what the ranges were made from."""
        return _key(self.source_sha256, self.images_sha256, self.method, self.percentile)


def used_method(source: Path, recipe: QuantizeRecipe) -> str:
    """The calibration method that a recipe means for this graph.

    "auto" is percentile where there are SiLUs or squeeze-excitation, whose long tails min-max spends its levels on, and
    min-max elsewhere.
    """
    if recipe.method != "auto":
        return recipe.method
    graph = Graph(prepared(source).graph)
    return "percentile" if graph.has_silu() or graph.squeeze_excitation() else "minmax"


def calibrate(
    source: Path, images: np.ndarray, recipe: QuantizeRecipe, batch: int, cache: Path | None = None
) -> Ranges:
    """Find the range of every float tensor of `source` on `images`, or read it from the folder `cache`.

    images: uint8 [N, 3, S, S], any N, run `batch` at a time; the ranges do not depend on it. Two passes: the first
    finds the smallest and largest values, the second fills histograms that span them. Percentile keeps
    `recipe.percentile` percent of the values, cutting half of the rest at either end; entropy clips where the
    Kullback-Leibler divergence of the quantised from the full histogram is least (Migacz, GTC 2017), by ONNX Runtime's
    collector. Raises ArtefactError without images, and for activations that are not finite.
    """
    if not len(images):
        raise ArtefactError("there are no calibration rows; give the calibration list at least one (data.*).")
    source, method = Path(source), used_method(source, recipe)
    pixels = hashlib.sha256(repr(images.shape).encode() + np.ascontiguousarray(images).tobytes()).hexdigest()
    made_from = sha256(source), pixels
    stored = cache and Path(cache) / f"ranges.{_key(*made_from, method, recipe.percentile)[:16]}.json"
    if stored and (ranges := _read(stored)):
        return ranges
    bounds, fallback = _collect(source, images, method, recipe.percentile, batch)
    ranges = Ranges(*made_from, len(images), method, recipe.percentile, bounds, fallback)
    if stored:
        write_json(stored, asdict(ranges))
    return ranges


def _key(source_sha256: str, images_sha256: str, method: str, percentile: float) -> str:
    version = require("onnxruntime", "onnx", PURPOSE).__version__
    cut = percentile if method == "percentile" else None
    return digest({"source": source_sha256, "images": images_sha256, "method": method, "cut": cut, "ort": version})


def _read(path: Path) -> Ranges | None:
    """Stored ranges; None where there are none, or they cannot be read and are made again."""
    try:
        stored = json.loads(path.read_text())
        bounds = {name: (float(low), float(high)) for name, (low, high) in stored.pop("bounds").items()}
        return Ranges(bounds=bounds, **stored)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _collect(source: Path, images: np.ndarray, method: str, percentile: float, batch: int) -> tuple[dict, dict]:
    """Bounds by tensor, and the tensors whose histogram cannot be made with the reason."""
    bounds: dict[str, tuple] = {}
    for name, values in _activations(source, images, batch):
        low, high = bounds.get(name, (np.inf, -np.inf))
        bounds[name] = (min(low, float(values.min())), max(high, float(values.max())))
    broken = [name for name, pair in bounds.items() if not np.isfinite(pair).all()]
    if broken:
        raise ArtefactError(
            f"the activations '{broken[0]}' are not finite on the calibration rows (range {bounds[broken[0]]}), so "
            "they cannot be quantised. The weights may have diverged; train the student again."
        )
    if method == "minmax":
        return bounds, {}
    collector, fallback = _collector(method, percentile, bounds)
    with contextlib.redirect_stdout(io.StringIO()):  # the collector prints its progress
        for name, values in _activations(source, images, batch):
            if name not in fallback:
                collector.collect({name: values})
        found = collector.compute_collection_result() if collector.histogram_dict else {}
    return bounds | {name: _clipped(found[name], bounds[name]) for name in found}, fallback


def _clipped(found: tuple, bounds: tuple[float, float]) -> tuple[float, float]:
    """A histogram's edges can lie beyond the values in it; a range never does."""
    return max(float(found[0]), bounds[0]), min(float(found[1]), bounds[1])


def _collector(method: str, percentile: float, bounds: dict) -> tuple:
    """ONNX Runtime's collector with an empty histogram for every tensor, as wide as its values, and the fallbacks.

    Starting from the final width makes the result independent of the batches, and a first batch of tiny values cannot
    ask for more bins than memory holds.
    """
    calibrate = require("onnxruntime.quantization.calibrate", "onnx", PURPOSE)
    bins = BINS[method]
    collector = calibrate.HistogramCollector(method, False, bins, LEVELS, percentile, "same")
    fallback = {}
    for name, (low, high) in bounds.items():
        width = np.float32(max(abs(low), abs(high)))
        try:
            counts, edges = np.histogram(np.zeros(0, np.float32), bins, range=(-width, width))
        except ValueError as error:  # values so near to zero that float32 has no numbers between the edges
            fallback[name] = f"min-max instead of {method}: {error}"
            continue
        collector.histogram_dict[name] = (counts, edges, np.float32(low), np.float32(high), width)
    return collector, fallback


def _activations(source: Path, images: np.ndarray, batch: int):
    """(name, values) of every float activation for each part of the images."""
    ort = require("onnxruntime", "onnx", PURPOSE)
    model = prepared(source)
    known = {output.name for output in model.graph.output}
    model.graph.output.extend(info for info in model.graph.value_info if info.name not in known and _is_float(info))
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs() if output.type == "tensor(float)"]
    for start in range(0, len(images), batch):
        part = {session.get_inputs()[0].name: images[start : start + batch]}
        yield from zip(names, session.run(names, part), strict=True)


def _is_float(info) -> bool:
    return info.type.tensor_type.elem_type == 1  # onnx.TensorProto.FLOAT
