"""The few distribution functions that the tests need, so that the core runs without SciPy."""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike


def normal_quantile(probability: float) -> float:
    """The z with P(Z <= z) = probability for a standard normal Z."""
    return NormalDist().inv_cdf(probability)


def normal_cdf(z: float) -> float:
    """P(Z <= z) for a standard normal Z."""
    return NormalDist().cdf(z)


def regularised_beta(a: float, b: float, x: float, complement: float | None = None) -> float:
    """I_x(a, b), the distribution function of Beta(a, b), by its continued fraction (DLMF 8.17.22, modified Lentz).

    complement is 1 - x; give it where x is so near to 1 that the subtraction would lose it. NaN in, NaN out.
    """
    complement = 1.0 - x if complement is None else complement
    if math.isnan(a + b + x):
        return math.nan
    if x <= 0 or complement <= 0:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast on the other side only
        return 1.0 - regularised_beta(b, a, complement, x)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(complement)
    return math.exp(log_front) / a * _beta_fraction(a, b, x)


def student_t_p(t: float, dof: float) -> float:
    """P(|T| >= |t|) for Student's t with dof degrees of freedom = I_{dof / (dof + t^2)}(dof / 2, 1 / 2)."""
    return regularised_beta(dof / 2, 0.5, dof / (dof + t * t), t * t / (dof + t * t))


def binomial_half_cdf(k: int, n: int) -> float:
    """P(X <= k) for X ~ Binomial(n, 1/2) = I_{1/2}(n - k, k + 1)."""
    if k < 0:
        return 0.0
    return 1.0 if k >= n else regularised_beta(n - k, k + 1, 0.5)


def binomial_half_pmf(k: int, n: int) -> float:
    """P(X = k) for X ~ Binomial(n, 1/2)."""
    return math.exp(math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - n * math.log(2))


def difference_pmf(size: ArrayLike, lost: ArrayLike, won: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Values and chances of won - lost where (lost, won, rest) is multinomial, [G, N] each; size, lost, won [G].

    By Fourier inversion of its characteristic function (1 + won (e^it - 1) + lost (e^-it - 1))^size. N is a power of
    two, wide enough that what lies outside has a chance below 1e-9 (Bernstein's inequality).
    """
    size, lost, won = (np.asarray(value, dtype=np.float64)[:, None] for value in (size, lost, won))  # [G, 1]
    reach = 7 * np.sqrt(size * (lost + won)).max() + 24
    width = 1 << math.ceil(math.log2(2 * reach + 1))  # N
    turn = np.exp(2j * np.pi * np.arange(width) / width)
    chance = np.fft.fft((1 + won * (turn - 1) + lost * (turn.conj() - 1)) ** size).real.clip(0) / width
    lowest = np.rint(size * (won - lost)).astype(np.int64) - width // 2
    values = lowest + (np.arange(width) - lowest) % width
    chance[np.abs(values) > size] = 0  # rounding errors only
    return values, chance / chance.sum(axis=-1, keepdims=True)


def _beta_fraction(a: float, b: float, x: float) -> float:
    tiny = np.finfo(np.float64).tiny
    numerator = 1.0
    denominator = 1.0 / (_away_from_zero(1.0 - (a + b) * x / (a + 1), tiny))
    value = denominator
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for coefficient in (even, odd):
            denominator = 1.0 / _away_from_zero(1.0 + coefficient * denominator, tiny)
            numerator = _away_from_zero(1.0 + coefficient / numerator, tiny)
            value *= denominator * numerator
        if abs(denominator * numerator - 1.0) < 1e-15:
            return value
    raise ArithmeticError(f"the beta continued fraction did not converge for a={a}, b={b}, x={x}")


def _away_from_zero(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny
