"""How sure one can be: noise floor of a disparity, intervals of rates, tests of change, and the gate's bounds."""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from edgefair.metrics.cluster_bootstrap import design_effect, identity_counts
from edgefair.metrics.confusion_matrix import divide
from edgefair.metrics.distributions import (
    binomial_half_cdf,
    binomial_half_pmf,
    normal_cdf,
    normal_quantile,
    student_t_p,
)
from edgefair.metrics.fairness import METRICS
from edgefair.metrics.gap_drift import gap_drift, gap_drift_bound, worsening_bound
from edgefair.metrics.paired import disagreement, paired_counts

__all__ = [
    "ClassBias",
    "NoiseFloor",
    "WelchTest",
    "class_bias",
    "design_effect",
    "disagreement",
    "gap_drift",
    "gap_drift_bound",
    "holm",
    "identity_counts",
    "mcnemar_midp",
    "newcombe",
    "noise_floor",
    "noninferiority_p",
    "paired_change_interval",
    "paired_counts",
    "welch_class_bias",
    "wilson",
    "worsening_bound",
]

_CHUNK_CELLS = 1 << 23  # 64 MiB of int64 tables at a time


class NoiseFloor(NamedTuple):
    """What a disparity would be by chance alone, in the metric's unit; arrays for a metric with a value per class."""

    mean: float | np.ndarray  # mean over permutations
    q95: float | np.ndarray  # 95 % quantile over permutations
    p_value: float | np.ndarray  # share of permutations at least as unequal, +1 in numerator and denominator
    observed: float | np.ndarray  # the metric itself


class WelchTest(NamedTuple):
    """One Welch t-test per class: [C] each, NaN where undefined."""

    t: np.ndarray
    dof: np.ndarray
    p: np.ndarray


class ClassBias(NamedTuple):
    """Which classes a change of training hit, by `welch_class_bias` over seeds."""

    test: WelchTest  # [C] each
    holm_p: np.ndarray  # [C], adjusted for the number of classes
    raw_count: int  # classes with p < alpha: alpha of them fall there by chance
    holm_count: int  # classes with adjusted p < alpha
    undefined_count: int  # classes without variance to judge by


def noise_floor(confusion, metric: str | Callable, draws: int, rng: np.random.Generator) -> NoiseFloor:
    """The metric on one table [G, C, C] beside its distribution when group labels are permuted inside each class.

    Permuting keeps the size of every (group, class) cell and every prediction; only who got which prediction is by
    chance. metric: a key of METRICS or a function of tables [..., G, C, C] to [...] or [..., C]. Undefined gives NaN.
    """
    confusion = np.asarray(confusion)
    metric = METRICS[metric] if isinstance(metric, str) else metric
    observed = np.asarray(metric(confusion), dtype=np.float64)  # [...]
    chunk = max(1, _CHUNK_CELLS // confusion.size)
    parts = [min(chunk, draws - start) for start in range(0, draws, chunk)]
    chance = np.concatenate([metric(_permuted(confusion, size, rng)) for size in parts])  # [draws, ...]
    undefined = np.where(np.isnan(observed) | np.isnan(chance).any(axis=0), np.nan, 0.0)
    as_unequal = (chance >= observed - 1e-12).sum(axis=0)  # equal tables may differ in the last bit
    values = (chance.mean(axis=0), np.quantile(chance, 0.95, axis=0), (as_unequal + 1) / (draws + 1))
    return NoiseFloor(*((value + undefined)[()] for value in values), observed[()])


def wilson(successes, n, confidence: float = 0.95) -> np.ndarray:
    """Wilson's score interval of a rate: [..., 2] = (low, high), two-sided; NaN where n is 0.

    (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n). A one-sided 95 % bound is the end of the
    interval of confidence 0.90.
    """
    successes, n = np.broadcast_arrays(np.asarray(successes, dtype=np.float64), np.asarray(n, dtype=np.float64))
    z = normal_quantile(0.5 + confidence / 2)
    size = np.where(n > 0, n, np.nan)
    rate = successes / size
    middle = (rate + z * z / (2 * size)) / (1 + z * z / size)
    half = z * np.sqrt(rate * (1 - rate) / size + z * z / (4 * size * size)) / (1 + z * z / size)
    return np.clip(np.stack([middle - half, middle + half], axis=-1), 0, 1)


def newcombe(successes_a: int, n_a: int, successes_b: int, n_b: int, confidence: float = 0.95) -> np.ndarray:
    """Newcombe's interval (1998, method 10) of the difference p_a - p_b of two independent rates: [..., 2], two-sided.

    Wilson's ends (l, u) of both rates, squared and added: d - sqrt((p_a - l_a)^2 + (u_b - p_b)^2) to
    d + sqrt((u_a - p_a)^2 + (p_b - l_b)^2). For the gap of two groups of one model. NaN where either has no rows.
    """
    ends_a, ends_b = wilson(successes_a, n_a, confidence), wilson(successes_b, n_b, confidence)  # [..., 2]
    rate_a, rate_b = divide(successes_a, n_a), divide(successes_b, n_b)
    below = np.hypot(rate_a - ends_a[..., 0], ends_b[..., 1] - rate_b)
    above = np.hypot(ends_a[..., 1] - rate_a, rate_b - ends_b[..., 0])
    return np.stack([rate_a - rate_b - below, rate_a - rate_b + above], axis=-1)


def holm(p) -> np.ndarray:
    """Holm's adjusted p-values, in the order given: running maximum of (m - rank) p, at most 1.

    An undefined test (NaN) stays NaN and still counts in m, so that leaving a test undefined never helps the others.
    """
    p = np.asarray(p, dtype=np.float64)
    order = np.argsort(p)  # NaN last
    adjusted = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    result = np.empty(len(p))
    result[order] = adjusted
    return result


def welch_class_bias(class_acc_a, overall_a, class_acc_b, overall_b) -> WelchTest:
    """Welch's t-test per class over seeds of class accuracy / overall accuracy (Mohammadshahi & Ioannou).

    class_acc_a, class_acc_b [S, C] and overall_a, overall_b [S], one row a seed; the two may differ in S. Dividing by
    the model's accuracy asks which classes changed more than the model did. NaN where there is no variance to judge by
    or only one seed. With 1,000 classes about 50 fall below 0.05 by chance: report the count after `holm` too.
    """
    a, b = _ratios(class_acc_a, overall_a), _ratios(class_acc_b, overall_b)  # [S, C]
    if len(a) < 2 or len(b) < 2:
        undefined = np.full(a.shape[1], np.nan)
        return WelchTest(undefined, undefined.copy(), undefined.copy())
    squared_a, squared_b = a.var(axis=0, ddof=1) / len(a), b.var(axis=0, ddof=1) / len(b)  # squared standard errors
    total = squared_a + squared_b
    # Seeds that agree exactly may differ in the last bit after the division; that is no variance.
    constant = total <= (1e-14 * (np.abs(a).max(axis=0) + np.abs(b).max(axis=0))) ** 2
    total = np.where(constant, np.nan, total)
    t = (a.mean(axis=0) - b.mean(axis=0)) / np.sqrt(total)
    dof = total**2 / (squared_a**2 / (len(a) - 1) + squared_b**2 / (len(b) - 1) + np.where(constant, 1, 0))
    return WelchTest(t, dof, np.array([student_t_p(*pair) for pair in zip(t.tolist(), dof.tolist(), strict=True)]))


def class_bias(class_acc_a, overall_a, class_acc_b, overall_b, alpha: float = 0.05) -> ClassBias:
    """Raw and Holm counts of the classes whose share of the model's accuracy differs between two trainings.

    The two comparisons of Mohammadshahi & Ioannou: teacher against distilled student (what distillation changed beside
    its source), and the same student trained without against with the teacher (what distillation itself changed).
    Arguments as for `welch_class_bias`; quote the Holm count as the claim and the raw one beside it.
    """
    test = welch_class_bias(class_acc_a, overall_a, class_acc_b, overall_b)
    adjusted = holm(test.p)
    counts = (int((p < alpha).sum()) for p in (test.p, adjusted))
    return ClassBias(test, adjusted, *counts, int(np.isnan(test.p).sum()))


def mcnemar_midp(lost: int, won: int) -> float:
    """Two-sided mid-p of McNemar's test (Fagerland et al. 2013): 2 P(X <= min) - P(X = min), X ~ Bin(lost + won, 1/2).

    A smoke detector, not a gate: it is blind to one group gaining what another loses. 1 where nothing flipped.
    """
    flips, least = int(lost) + int(won), int(min(lost, won))
    return min(1.0, 2 * binomial_half_cdf(least, flips) - binomial_half_pmf(least, flips))


def paired_change_interval(lost: float, won: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Tango's score interval (1998) of the accuracy change (won - lost) / n on the same n rows, two-sided.

    The ends solve (won - lost - n d) / sqrt(n (2 q + d (1 - d))) = -+z, q the restricted estimate of P(lost) at change
    d. It stays honest with few or no flips: with none, the loss is bounded by z^2 / (n + z^2). (NaN, NaN) without rows.
    Counts divided by a design effect need not be whole.
    """
    if n <= 0:
        return math.nan, math.nan
    z = normal_quantile(0.5 + confidence / 2)
    change = (won - lost) / n
    score = functools.partial(_change_score, lost, won, n)
    return _root(score, -1.0, change, z), _root(score, change, 1.0, -z)


def noninferiority_p(lost: int, won: int, n: int, margin: float) -> float:
    """One-sided p that accuracy fell by `margin` (a share, above 0) or more: 1 - Phi(score at d = -margin), Tango 1998.

    Small is evidence that the loss on the same n rows stayed below the margin. NaN without rows.
    """
    return math.nan if n <= 0 else 1 - normal_cdf(_change_score(lost, won, n, -margin))


def _change_score(lost: float, won: float, n: float, d: float) -> float:
    """Tango's score of the hypothesis that accuracy changed by d."""
    b = -won - lost + (2 * n - won + lost) * d
    restricted = (math.sqrt(max(b * b + 8 * n * lost * d * (1 - d), 0.0)) - b) / (4 * n)
    return (won - lost - n * d) / math.sqrt(max(n * (2 * restricted + d * (1 - d)), 1e-300))


def _root(falling: Callable[[float], float], low: float, high: float, target: float) -> float:
    for _ in range(60):  # 2 / 2^60 is below the last bit
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > target else (low, middle)
    return (low + high) / 2


def _ratios(class_accuracy, overall) -> np.ndarray:
    overall = np.asarray(overall, dtype=np.float64)[:, None]
    return np.asarray(class_accuracy, dtype=np.float64) / np.where(overall > 0, overall, np.nan)  # [S, C]


def _permuted(confusion: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Tables after a random permutation of groups inside each true class: int64 [draws, G, C, C].

    A multivariate hypergeometric draw for each group from what the groups before it left, written as hypergeometric
    draws class by class because those broadcast over draws and true classes.
    """
    num_groups, num_classes, _ = confusion.shape
    support = confusion.sum(axis=-1)  # [G, true]
    left = np.repeat(confusion.sum(axis=0)[None], draws, axis=0)  # [draws, true, predicted]
    tables = np.zeros((draws, *confusion.shape), dtype=np.int64)
    for group in range(num_groups - 1):
        need = np.repeat(support[group][None], draws, axis=0)  # [draws, true]
        rest = left.sum(axis=-1)  # [draws, true]
        for predicted in range(num_classes):
            rest = rest - left[:, :, predicted]
            tables[:, group, :, predicted] = rng.hypergeometric(left[:, :, predicted], rest, need)
            need = need - tables[:, group, :, predicted]
        left -= tables[:, group]
    tables[:, -1] = left
    return tables
