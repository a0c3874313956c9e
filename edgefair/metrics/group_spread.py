"""How far groups lie apart, estimated with less noise than a difference of recalls: for choosing between models.

max - min of recalls counts right and wrong, and grows by chance with few rows a cell. To choose between models on a few
hundred rows, use the probability of the true class at one calibrated temperature, and subtract the noise:
`benchmarks/choice_criterion.py` measures what that gains. What is reported stays `mean_abs_disparity`.
"""

import numpy as np

from edgefair.metrics.bisection import bisect
from edgefair.metrics.performance import softmax

_SHARPEST = 1e3  # largest 1 / temperature


def true_class_probability(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """softmax(z / T)[y] for each row, [N], at the temperature T that makes -mean log softmax(z / T)[y] least.

    logits [N, C] finite, labels [N]. One number calibrates a model (Guo et al. 2017, section 4.2): without it a
    student that is only less sure of everything would look fairer. The likelihood is concave in 1 / T, whose
    derivative's sign is bisected.
    """
    logits = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    rows = np.arange(len(labels))

    def too_flat(log_sharpness: float) -> bool:
        sharpness = np.exp(log_sharpness)
        expected = (softmax(sharpness * logits) * logits).sum(axis=1)  # [N]
        return bool((logits[rows, labels] - expected).mean() > 0)

    ends = (-np.log(_SHARPEST), np.log(_SHARPEST))
    low, high = bisect(too_flat, *ends, steps=40)
    probability: np.ndarray = softmax(np.exp((low + high) / 2) * logits)[rows, labels]
    return probability


def cells_of(labels: np.ndarray, groups: np.ndarray, num_classes: int, num_groups: int) -> np.ndarray:
    """Which cell each row is counted in, bool [N, G * C]: cell g * C + c; a row of unknown group (-1) in none."""
    cell = np.where(groups >= 0, groups * num_classes + labels, -1)  # [N]
    member: np.ndarray = cell[:, None] == np.arange(num_groups * num_classes)
    return member


def squared_spread(values: np.ndarray, member: np.ndarray, num_classes: int) -> np.ndarray:
    """Mean over classes of the variance between groups of a row's value, without the part that is noise: [K].

        S^2 = mean_c ( Var_g(m_gc) - mean_g(s_gc^2 / n_gc) )

    values [K, N], K models on the same rows; member [N, G * C] of `cells_of`. m_gc, s_gc^2, n_gc: mean, variance
    (n - 1) and rows of a cell; Var_g has G - 1 below. Its expectation is the variance of the true means, however few
    rows (the estimator of a one-way random effect), so it may be negative. Cells with under two rows are left out, and
    classes with under two such groups; NaN where no class is left. For two groups sqrt(2 S^2) estimates the gap.
    """
    weights = member.astype(np.float64)
    count = weights.sum(axis=0)  # [G * C]
    usable = count >= 2
    safe = np.where(usable, count, 2.0)
    mean = values @ weights / safe  # [K, G * C]
    variance = ((values**2) @ weights / safe - mean**2).clip(0) * safe / (safe - 1)
    mean, noise = (part.reshape(len(values), -1, num_classes) for part in (mean, variance / safe))  # [K, G, C]
    usable = usable.reshape(-1, num_classes)  # [G, C]
    groups = usable.sum(axis=0)  # [C]
    kept = groups >= 2
    if not kept.any():
        return np.full(len(values), np.nan)
    mean, noise, usable, groups = mean[..., kept], noise[..., kept], usable[:, kept], groups[kept]
    centre = np.where(usable, mean, 0).sum(axis=1, keepdims=True) / groups
    between = np.where(usable, (mean - centre) ** 2, 0).sum(axis=1) / (groups - 1)  # [K, C]
    within = np.where(usable, noise, 0).sum(axis=1) / groups  # [K, C]
    spread: np.ndarray = (between - within).mean(axis=1)
    return spread


def signed_root(squared: np.ndarray) -> np.ndarray:
    """sqrt, with the sign of what is below zero kept: an S^2 that noise made negative stays the smallest."""
    root: np.ndarray = np.sign(squared) * np.sqrt(np.abs(squared))
    return root
