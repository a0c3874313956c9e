"""Hypothesis tests: t-tests of two means, Holm's correction, McNemar's mid-p, Welch's test of class bias."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from edgefair.metrics.distributions import binomial_half_cdf, binomial_half_pmf, student_t_p
from edgefair.metrics.intervals import t_half_width


class MeanTest(NamedTuple):
    """A t-test of the difference of two means; NaN where there is no variance to judge by."""

    difference: float
    interval: list[float]  # two-sided, of 95 %
    t: float
    dof: float
    p: float  # two-sided


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


def holm(p: ArrayLike) -> np.ndarray:
    """Holm's adjusted p-values, in the order given: running maximum of (m - rank) p, at most 1.

    An undefined test (NaN) stays NaN and still counts in m, so that leaving a test undefined never helps the others.
    """
    p = np.asarray(p, dtype=np.float64)
    order = np.argsort(p)  # NaN last
    adjusted = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    result = np.empty(len(p))
    result[order] = adjusted
    return result


def mean_test(ours: np.ndarray, theirs: np.ndarray, paired: bool) -> MeanTest:
    """Student's t-test of mean(ours) - mean(theirs), values over seeds [S]; Welch's where they are not paired.

    t = d / e with e = s_d / sqrt(S), S - 1 degrees of freedom; or e^2 = s_a^2 / S_a + s_b^2 / S_b and Welch's degrees.
    """
    difference, error, dof = _mean_difference(ours, theirs, paired)
    t = difference / error
    half = t_half_width(error, 1, dof)
    return MeanTest(difference, [difference - half, difference + half], t, dof, student_t_p(t, dof))


def larger_mean_p(ours: np.ndarray, theirs: np.ndarray, paired: bool) -> float:
    """One-sided p of `mean_test` against mean(ours) <= mean(theirs): small shows that ours is larger; NaN as there."""
    difference, error, dof = _mean_difference(ours, theirs, paired)
    half = student_t_p(difference / error, dof) / 2
    return half if difference > 0 else 1 - half


def _mean_difference(ours: np.ndarray, theirs: np.ndarray, paired: bool) -> tuple[float, float, float]:
    """Difference of means, its standard error and degrees of freedom; NaN where there is no variance to judge by."""
    difference, error, dof = float(ours.mean() - theirs.mean()), math.nan, math.nan
    if paired and len(ours) > 1:
        error, dof = float((ours - theirs).std(ddof=1)) / math.sqrt(len(ours)), len(ours) - 1
    elif not paired and min(len(ours), len(theirs)) > 1:
        parts = [float(side.var(ddof=1)) / len(side) for side in (ours, theirs)]
        error = math.sqrt(sum(parts))
        if error > 0:
            dof = sum(parts) ** 2 / sum(part**2 / (len(s) - 1) for part, s in zip(parts, (ours, theirs), strict=True))
    if not error > 1e-12:  # equal in every seed but for the last bit
        error = math.nan
    return difference, error, dof


def welch_class_bias(
    class_acc_a: ArrayLike, overall_a: ArrayLike, class_acc_b: ArrayLike, overall_b: ArrayLike
) -> WelchTest:
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


def class_bias(
    class_acc_a: ArrayLike, overall_a: ArrayLike, class_acc_b: ArrayLike, overall_b: ArrayLike, alpha: float = 0.05
) -> ClassBias:
    """Raw and Holm counts of the classes whose share of the model's accuracy differs between two trainings.

    The two comparisons of Mohammadshahi & Ioannou: teacher against distilled student (what distillation changed beside
    its source), and the same student trained without against with the teacher (what distillation itself changed).
    class_acc_a, overall_a, class_acc_b, overall_b: as for `welch_class_bias`. alpha: the level of both counts. Quote
    the Holm count as the claim and the raw one beside it.
    """
    test = welch_class_bias(class_acc_a, overall_a, class_acc_b, overall_b)
    adjusted = holm(test.p)
    raw, corrected = (int((p < alpha).sum()) for p in (test.p, adjusted))
    return ClassBias(test, adjusted, raw, corrected, int(np.isnan(test.p).sum()))


def mcnemar_midp(lost: int, won: int) -> float:
    """Two-sided mid-p of McNemar's test (Fagerland et al. 2013): 2 P(X <= min) - P(X = min), X ~ Bin(lost + won, 1/2).

    For information, not a gate: it is blind to one group gaining what another loses. 1 where nothing flipped.
    """
    flips, least = int(lost) + int(won), int(min(lost, won))
    return min(1.0, 2 * binomial_half_cdf(least, flips) - binomial_half_pmf(least, flips))


def _ratios(class_accuracy: ArrayLike, overall: ArrayLike) -> np.ndarray:
    overall = np.asarray(overall, dtype=np.float64)[:, None]
    return np.asarray(class_accuracy, dtype=np.float64) / np.where(overall > 0, overall, np.nan)  # [S, C]
