"""How far groups lie apart, estimated with less noise than a difference of recalls: for choosing between models.

max - min of recalls counts right and wrong, and grows by chance with few rows a cell. To choose between models on a few
hundred rows, right and wrong are smoothed by the margin, and the noise is subtracted: `benchmarks/choice_criterion.py`
measures what that gains. What is reported stays `mean_abs_disparity`.
"""

import numpy as np

BANDWIDTH = 0.5
"""Of the smoothing, in standard deviations of a model's margins."""


def smoothed_right(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How right each row is, between 0 and 1: [N].

        r_i = sigmoid(1.702 m_i / (h sd(m))),   m_i = z_i[y_i] - max of the others

    A step at 0 would be `predicted == label`; a row near it would count all or nothing by chance. The width follows
    the model's own margins (h = BANDWIDTH; 1.702 makes it nearly the normal distribution's), so that a model that is
    less sure of everything does not look fairer, as it does by the probabilities of the true class, calibrated or not.
    logits [N, C] finite, C >= 2; labels [N].
    """
    rows, logits = np.arange(len(labels)), logits.astype(np.float64)
    others = logits.copy()
    others[rows, labels] = -np.inf
    margin = logits[rows, labels] - others.max(axis=1)  # [N]
    width = BANDWIDTH * margin.std() or 1.0
    right: np.ndarray = (1 + np.tanh(1.702 / 2 * margin / width)) / 2
    return right


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
