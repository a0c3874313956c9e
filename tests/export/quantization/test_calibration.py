"""Calibration: ranges against NumPy's, any number of rows, clipping, fallbacks, and the file that keeps them."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy

from edgefair.errors import ArtefactError
from edgefair.export.quantization import histograms, quantize
from edgefair.export.quantization.calibration import calibrate
from edgefair.export.quantization.calibration import calibrate as function
from edgefair.recipe import QuantizeSettings
from tests.helpers.float_nets import Net, gated_net, residual_net

IMAGES = np.random.default_rng(6).integers(0, 256, (23, 3, 16, 16), dtype=np.uint8)
METHODS = ("minmax", "percentile", "entropy")


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return residual_net(tmp_path_factory.mktemp("net") / "net.onnx")


@pytest.mark.parametrize("method", METHODS)
def test_any_number_of_rows_in_any_batches_gives_the_same_ranges(net, method):
    recipe = QuantizeSettings(method=method)
    one, other = calibrate(net, IMAGES, recipe, 23), calibrate(net, IMAGES, recipe, 5)
    assert one.bounds.keys() == other.bounds.keys()
    for name, pair in one.bounds.items():
        np.testing.assert_allclose(other.bounds[name], pair, rtol=1e-5, atol=1e-6)


def test_minmax_is_that_of_the_values(net):
    ranges = calibrate(net, IMAGES, QuantizeSettings(), 8)
    pixels = IMAGES.astype(np.float32) / 64 - 2
    assert ranges.method == "minmax"
    assert ranges.rows == 23
    np.testing.assert_allclose(ranges.bounds["normalised"], (pixels.min(), pixels.max()), rtol=1e-6)
    assert ranges.bounds["stem_relu"][0] == 0 < ranges.bounds["stem_relu"][1]


def test_percentile_keeps_its_share(net):
    """Half of what is left out lies at either end; a histogram of 2,048 bins knows it to within one bin."""
    ranges = calibrate(net, IMAGES, QuantizeSettings(method="percentile", percentile=90), 8)
    pixels = IMAGES.astype(np.float32) / 64 - 2
    bin_width = np.abs(pixels).max() / 2048
    np.testing.assert_allclose(
        ranges.bounds["normalised"], np.quantile(pixels, [0.05, 0.95]), atol=2 * bin_width + 1 / 64
    )


@pytest.mark.parametrize("method", METHODS[1:])
def test_clipping_methods_stay_within_minmax(net, method):
    found = calibrate(net, IMAGES, QuantizeSettings(method=method), 8).bounds
    for name, (low, high) in calibrate(net, IMAGES, QuantizeSettings(), 8).bounds.items():
        assert low <= found[name][0] <= found[name][1] <= high


def counted(values: np.ndarray) -> tuple[np.ndarray, float]:
    width = float(np.abs(values).max())
    histogram = histograms.empty(width)
    histograms.count(histogram, values, width)
    return histogram, width


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(60, 99.9), st.sampled_from(["normal", "exponential", "uniform"]))
def test_percentile_is_numpys_to_within_a_bin(seed, percent, kind):
    values = getattr(np.random.default_rng(seed), kind)(size=5000).astype(np.float32)
    histogram, width = counted(values)
    low, high = histograms.percentile_range(histogram, width, percent)
    cut, bin_width = (100 - percent) / 200, width / histograms.BINS
    outside = [np.mean(values < low - bin_width / 2), np.mean(values > high + bin_width / 2)]
    assert max(outside) <= cut + 1e-3
    expected = np.quantile(values, [cut, 1 - cut], method="inverted_cdf")
    np.testing.assert_allclose((low, high), expected, atol=1.5 * bin_width)


def divergence(counts, bins: int) -> float:
    """The same as a sum over levels and bins, written out, with SciPy's Kullback-Leibler divergence."""
    p, q = np.array(counts[:bins], float), np.zeros(bins)
    p[-1] += sum(counts[bins:])
    edges = [level * bins // histograms.LEVELS for level in range(histograms.LEVELS + 1)]
    for start, end in itertools.pairwise(edges):
        held = [place for place in range(start, end) if counts[place]]
        for place in held:
            q[place] = sum(counts[start:end]) / len(held)
    return entropy(p, q)


@pytest.mark.parametrize("kind", ["laplace", "outlier"])
def test_entropy_clips_where_the_divergence_is_least(kind):
    rng = np.random.default_rng(3)
    values = rng.laplace(size=20000) if kind == "laplace" else rng.normal(size=20000)
    values = np.append(values, 30.0 if kind == "outlier" else 0.0).astype(np.float32)
    histogram, width = counted(values)
    low, high = histograms.entropy_range(histogram, width)
    counts = histogram[histograms.BINS :] + histogram[: histograms.BINS][::-1]
    counts[0] = counts[1]
    candidates = np.arange(histograms.LEVELS, histograms.BINS + 1, histograms.STEP)
    expected = candidates[np.argmin([divergence(counts, bins) for bins in candidates])]
    assert -low == high
    assert high == pytest.approx(expected / histograms.BINS * width)
    if kind == "outlier":
        assert high < 6  # rather than 30


@pytest.mark.parametrize("method", METHODS[1:])
def test_tensors_without_a_histogram_fall_back_to_minmax_and_are_named(tmp_path, method):
    """Values so small that float32 has no numbers between the edges of the bins."""
    net = Net()
    tiny = net.node("Mul", [net.start, net.const("tiny", np.float32(1e-44))], "tiny_values")
    x = net.node("Add", [net.conv(net.start, "stem", 3), net.conv(tiny, "other", 3)], "both")
    source = net.save(x, tmp_path / "net.onnx")
    recipe = QuantizeSettings(method=method)
    ranges = calibrate(source, IMAGES, recipe, 8)
    assert list(ranges.fallback) == ["tiny_values"]
    assert "min-max instead of" in ranges.fallback["tiny_values"]
    facts = quantize(source, tmp_path / "q.onnx", IMAGES, "tensorrt", recipe, 8, ranges=ranges)
    assert facts["fallback"] == ranges.fallback


def test_no_rows_and_numbers_that_are_not_finite_are_refused(net, tmp_path):
    with pytest.raises(ArtefactError, match="no calibration rows"):
        calibrate(net, IMAGES[:0], QuantizeSettings(), 8)
    broken = Net()
    inf = broken.node("Exp", [broken.node("Mul", [broken.start, broken.const("k", np.float32(1e4))], "big")], "inf")
    source = broken.save(broken.conv(inf, "stem", 3), tmp_path / "net.onnx")
    with pytest.raises(ArtefactError, match="activations 'inf' are not finite"):
        calibrate(source, IMAGES, QuantizeSettings(), 8)
    with pytest.raises(ArtefactError, match=r"cannot be run on calibration images uint8 \(23, 3, 8, 16\)"):
        calibrate(net, IMAGES[:, :, :8], QuantizeSettings(), 8)


def test_ranges_are_kept_in_a_file_and_serve_every_dialect(net, tmp_path, monkeypatch):
    first = calibrate(net, IMAGES, QuantizeSettings(), 8, cache=tmp_path)
    (stored,) = tmp_path.glob("ranges.*.json")
    module = __import__("sys").modules[function.__module__]
    monkeypatch.setattr(module, "_collect", lambda *_: pytest.fail("calibrated again"))
    assert calibrate(net, IMAGES, QuantizeSettings(), 3, cache=tmp_path) == first
    for dialect in ("ort-cpu", "tensorrt", "fp8"):
        quantize(net, tmp_path / f"{dialect}.onnx", IMAGES, dialect, QuantizeSettings(), 8)
    assert list(tmp_path.glob("ranges.*.json")) == [stored]
    for other in ({"images": IMAGES[:22]}, {"settings": QuantizeSettings(method="percentile")}):
        with pytest.raises(pytest.fail.Exception):
            calibrate(net, **{"images": IMAGES, "settings": QuantizeSettings(), **other}, batch=8, cache=tmp_path)


def test_a_damaged_file_of_ranges_is_made_again(net, tmp_path):
    first = calibrate(net, IMAGES[:4], QuantizeSettings(), 8, cache=tmp_path)
    (stored,) = tmp_path.glob("ranges.*.json")
    whole = json.loads(stored.read_text())
    for content in (stored.read_text()[:-40], "[]", json.dumps({k: v for k, v in whole.items() if k != "bounds"})):
        stored.write_text(content)
        assert calibrate(net, IMAGES[:4], QuantizeSettings(), 8, cache=tmp_path) == first
    assert json.loads(stored.read_text()) == whole


def test_auto_takes_percentile_for_gates(tmp_path, net):
    assert calibrate(gated_net(tmp_path / "g.onnx"), IMAGES[:4], QuantizeSettings(), 4).method == "percentile"
    assert calibrate(net, IMAGES[:4], QuantizeSettings(), 4).method == "minmax"
