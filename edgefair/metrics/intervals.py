"""Confidence intervals and one-sided tests of proportions and of their paired differences."""

import functools
import math

import numpy as np
from numpy.typing import ArrayLike

from edgefair.metrics.bisection import bisect
from edgefair.metrics.confusion_matrix import divide
from edgefair.metrics.distributions import normal_cdf, normal_quantile, student_t_p


def wilson(successes: ArrayLike, n: ArrayLike, confidence: float = 0.95) -> np.ndarray:
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


def t_half_width(deviation: float, n: int, dof: float | None = None, confidence: float = 0.95) -> float:
    """Half of Student's two-sided interval of a mean: t((1 + confidence) / 2, dof) * deviation / sqrt(n).

    deviation: the standard deviation of n values; dof is n - 1 unless given. NaN where either is undefined.
    """
    dof = n - 1 if dof is None else dof
    if math.isnan(deviation) or math.isnan(dof):
        return math.nan
    return _t_quantile(dof, confidence) * deviation / math.sqrt(n)


@functools.cache
def _t_quantile(dof: float, confidence: float) -> float:
    return bisect(lambda t: student_t_p(t, dof) > 1 - confidence, 0.0, 1e6, 80)[1]


def paired_change_interval(lost: float, won: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Tango's score interval (1998) of the accuracy change (won - lost) / n on the same n rows, two-sided.

    lost and won of n rows, at the given confidence. The ends solve (won - lost - n d) / sqrt(n (2 q + d (1 - d))) =
    -+z, q the restricted estimate of P(lost) at change d. It stays honest with few or no flips: with none, the loss is
    bounded by z^2 / (n + z^2). (NaN, NaN) without rows. Counts divided by a design effect need not be whole.
    """
    if n <= 0:
        return math.nan, math.nan
    z = normal_quantile(0.5 + confidence / 2)
    change = (won - lost) / n
    score = functools.partial(_change_score, lost, won, n)

    def end(low: float, high: float, target: float) -> float:
        # The score falls as the change grows; 2 / 2^60 is below the last bit.
        return sum(bisect(lambda d: score(d) > target, low, high, 60)) / 2

    return end(-1.0, change, z), end(change, 1.0, -z)


def noninferiority_p(lost: int, won: int, n: int, margin: float) -> float:
    """One-sided p that accuracy fell by `margin` (a share, above 0) or more: 1 - Phi(score at d = -margin), Tango 1998.

    lost, won: of n rows, those that only the reference and only the candidate gets right. Small is evidence that the
    loss on the same n rows stayed below the margin. NaN without rows.
    """
    return math.nan if n <= 0 else 1 - normal_cdf(_change_score(lost, won, n, -margin))


def _change_score(lost: float, won: float, n: float, d: float) -> float:
    """Tango's score of the hypothesis that accuracy changed by d."""
    b = -won - lost + (2 * n - won + lost) * d
    restricted = (math.sqrt(max(b * b + 8 * n * lost * d * (1 - d), 0.0)) - b) / (4 * n)
    return (won - lost - n * d) / math.sqrt(max(n * (2 * restricted + d * (1 - d)), 1e-300))
