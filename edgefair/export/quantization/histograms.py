"""Histograms of activations, and the ranges that clip them.

ONNX Runtime's collectors are not used: its entropy method compares a histogram of 128 bins with 128 levels, so there is
one candidate and nothing is ever clipped, and with more bins it takes a quarter of a second a tensor; and they fail on
batches of different sizes.
"""

import numpy as np

BINS = 2048  # on either side of zero
LEVELS = 128  # of one sign of eight bits
STEP = 8  # bins between two candidates of the entropy method


def empty(width: float) -> np.ndarray | None:
    """A histogram of values in [-width, width], int64 [2 BINS]; None where float32 has no numbers between the edges."""
    return np.zeros(2 * BINS, np.int64) if width >= BINS * np.finfo(np.float32).tiny else None


def count(histogram: np.ndarray, values: np.ndarray, width: float) -> None:
    """Add values to a histogram of values in [-width, width]."""
    histogram += np.histogram(values, len(histogram), range=(-width, width))[0]


def percentile_range(histogram: np.ndarray, width: float, percent: float) -> tuple[float, float]:
    """The range that keeps `percent` of the values and cuts half of the rest at either end, rounded out to bins."""
    share = np.cumsum(histogram) / histogram.sum()
    cut = (100 - percent) / 200
    edges = np.linspace(-width, width, len(histogram) + 1)
    low = np.searchsorted(share, cut, side="right")
    high = np.searchsorted(share, 1 - cut - 1e-12) + 1
    return float(edges[min(low, len(histogram))]), float(edges[min(high, len(histogram))])


def entropy_range(histogram: np.ndarray, width: float) -> tuple[float, float]:
    """[-t, t] with the t whose clipped histogram P loses least when it is told apart by 128 levels, Q.

    t minimises KL(P || Q) = sum p log(p / q), where P holds what is clipped in its last bin and Q spreads each level's
    count evenly over its bins that are not empty (Migacz, 8-bit Inference with TensorRT, GTC 2017, pages 36 to 38).
    The bin at zero is given the count of its neighbour, as in NVIDIA's pytorch-quantization: a ReLU's zeros are exact
    at any t, and would otherwise decide it.
    """
    counts = (histogram[BINS:] + histogram[BINS - 1 :: -1]).astype(float)  # of absolute values
    counts[0] = counts[1]
    candidates = range(LEVELS, BINS + 1, STEP)
    best = min(candidates, key=lambda bins: (_divergence(counts, bins), -bins))
    return -width * best / BINS, width * best / BINS


def _divergence(counts: np.ndarray, bins: int) -> float:
    """KL(P || Q) of the first `bins` bins; infinite where Q has nothing for what P has."""
    kept = counts[:bins]
    starts = np.arange(LEVELS) * bins // LEVELS
    held = np.add.reduceat((kept > 0).astype(float), starts)
    level = np.add.reduceat(kept, starts) / np.maximum(held, 1)
    q = np.repeat(level, np.diff(np.append(starts, bins))) * (kept > 0)
    p = kept.copy()
    p[-1] += counts[bins:].sum()
    if q.sum() == 0 or (q[p > 0] == 0).any():
        return np.inf
    p, q = p / p.sum(), q / q.sum()
    return float((p[p > 0] * np.log(p[p > 0] / q[p > 0])).sum())
