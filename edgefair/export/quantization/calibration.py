"""Ranges of activations from calibration rows: min-max, percentile or entropy, found once and kept in a file.

A range says what a tensor holds, not how it is written down, so one file of ranges serves every dialect and every
choice of layers that stay in float.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from edgefair.errors import ArtefactError, DataError, require
from edgefair.export.quantization import histograms
from edgefair.export.quantization.graph import Graph
from edgefair.export.quantization.preprocess import PURPOSE, float_tensors, prepared
from edgefair.export.quantization.records import RangesRecord
from edgefair.files import digest, read_record, sha256, write_record
from edgefair.predictions import batches
from edgefair.recipe import QuantizeSettings


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

    def facts(self) -> dict:
        """How the ranges were found, as JSON values."""
        return {
            "method": self.method,
            "percentile": self.percentile if self.method == "percentile" else None,
            "rows": self.rows,
            "images_sha256": self.images_sha256,
            "fallback": self.fallback,
            "versions": {name: require(name, "onnx", PURPOSE).__version__ for name in ("onnx", "onnxruntime")},
        }


def resolve_method(source: Path, settings: QuantizeSettings) -> str:
    """The calibration method that the settings mean for this graph.

    "auto" is percentile where there are SiLUs or squeeze-excitation, whose long tails min-max spends its levels on, and
    min-max elsewhere.
    """
    if settings.method != "auto":
        return settings.method
    graph = Graph(prepared(source).graph)
    return "percentile" if graph.has_silu() or graph.squeeze_excitation() else "minmax"


def calibrate(
    source: Path, images: np.ndarray, settings: QuantizeSettings, batch: int, cache: Path | None = None
) -> Ranges:
    """Find the range of every float tensor of `source` on `images`, or read it from the folder `cache`.

    images: uint8 [N, 3, S, S], any N, run `batch` at a time; the ranges do not depend on it. Two passes: the first
    finds the smallest and largest values, the second fills histograms that span them. Percentile keeps
    `settings.percentile` percent of the values, cutting half of the rest at either end; entropy clips where the
    Kullback-Leibler divergence of the quantised from the full histogram is least (see histograms). Raises
    ArtefactError without images, and for activations that are not finite.
    """
    if not len(images):
        raise ArtefactError("there are no calibration rows; give the calibration list at least one (data.*).")
    source, method = Path(source), resolve_method(source, settings)
    pixels = hashlib.sha256(repr(images.shape).encode() + np.ascontiguousarray(images).tobytes()).hexdigest()
    made_from = sha256(source), pixels
    stored = cache and Path(cache) / f"ranges.{_key(*made_from, method, settings.percentile)[:16]}.json"
    if stored and (ranges := _read(stored)):
        return ranges
    bounds, fallback = _collect(source, images, method, settings.percentile, batch)
    ranges = Ranges(*made_from, len(images), method, settings.percentile, bounds, fallback)
    if stored:
        write_record(stored, RangesRecord, {"schema": 1, **asdict(ranges)})
    return ranges


def _key(source_sha256: str, images_sha256: str, method: str, percentile: float) -> str:
    versions = {"format": 1, "onnxruntime": require("onnxruntime", "onnx", PURPOSE).__version__}
    cut = percentile if method == "percentile" else None
    return digest({"source": source_sha256, "images": images_sha256, "method": method, "cut": cut} | versions)


def _read(path: Path) -> Ranges | None:
    """Stored ranges; None where there are none, or they cannot be read and are made again."""
    try:
        stored = read_record(path, RangesRecord, "").model_dump(exclude={"schema_version"})
    except DataError:
        return None
    return Ranges(**stored | {"bounds": {name: tuple(pair) for name, pair in stored["bounds"].items()}})


def _collect(source: Path, images: np.ndarray, method: str, percentile: float, batch: int) -> tuple[dict, dict]:
    """Bounds by tensor, and the tensors whose histogram cannot be made with the reason."""
    bounds = _smallest_and_largest(source, images, batch)
    if method == "minmax":
        return bounds, {}
    widths = {name: max(abs(low), abs(high)) for name, (low, high) in bounds.items()}
    made = {name: histograms.empty(width) for name, width in widths.items()}
    for name, values in _activations(source, images, batch):
        if made[name] is not None:
            histograms.count(made[name], values, widths[name])
    fallback = {}
    for name, histogram in made.items():
        if histogram is None and widths[name]:  # a tensor of zeros has its range already
            fallback[name] = f"min-max instead of {method}: the values are too near to zero ({widths[name]:.2g})"
        elif histogram is not None:
            bounds[name] = _clipped(histogram, bounds[name], widths[name], method, percentile)
    return bounds, fallback


def _smallest_and_largest(source: Path, images: np.ndarray, batch: int) -> dict[str, tuple[float, float]]:
    bounds: dict[str, tuple[float, float]] = {}
    for name, values in _activations(source, images, batch):
        low, high = bounds.get(name, (np.inf, -np.inf))
        bounds[name] = float(np.minimum(low, values.min())), float(np.maximum(high, values.max()))
    for name, pair in bounds.items():
        if not np.isfinite(pair).all():
            raise ArtefactError(
                f"the activations '{name}' are not finite on the calibration rows (range {pair}), so they cannot be "
                "quantised. The weights may have diverged; train the student again."
            )
    return bounds


def _clipped(histogram, bounds: tuple[float, float], width: float, method: str, percentile: float) -> tuple:
    """The method's range; the edges of a histogram can lie beyond the values in it, a range never does."""
    percentiles = method == "percentile"
    found = (
        histograms.percentile_range(histogram, width, percentile)
        if percentiles
        else histograms.entropy_range(histogram, width)
    )
    return max(found[0], bounds[0]), min(found[1], bounds[1])


def _activations(source: Path, images: np.ndarray, batch: int) -> Iterator[tuple[str, np.ndarray]]:
    """(name, values) of every float activation for each part of the images."""
    ort = require("onnxruntime", "onnx", PURPOSE)
    model = prepared(source)
    names, known = float_tensors(model), {output.name for output in model.graph.output}
    model.graph.output.extend(info for info in model.graph.value_info if info.name in set(names) - known)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    for rows in batches(len(images), batch):
        part = {session.get_inputs()[0].name: images[rows]}
        try:
            found = session.run(names, part)
        except Exception as error:  # the library's exception classes share no public base
            raise ArtefactError(
                f"{source} cannot be run on calibration images {images.dtype} {images.shape} ({error})."
            ) from error
        yield from ((name, values) for name, values in zip(names, found, strict=True) if values.size)
