"""The Pareto set of points that each have a value to gain and a cost: by their means, and by tests over seeds."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from edgefair.metrics.hypothesis_tests import larger_mean_p


class Seeds(NamedTuple):
    """What one recipe gave, a value a seed: [S] each."""

    seeds: tuple[int, ...]
    gain: np.ndarray
    cost: np.ndarray


class RuledOut(NamedTuple):
    """The strongest evidence that another point is better in both; p is adjusted for the number of others."""

    p: float
    by: int | None  # the point that is better, None where no mean is


def pareto_set(gain: ArrayLike, cost: ArrayLike) -> np.ndarray:
    """Which points [N] no other dominates, bool [N]; an undefined point is in no set and dominates none.

    j dominates i: gain_j >= gain_i and cost_j <= cost_i, and one of the two is strict. Equal points stay together.
    """
    dominated = _dominates(np.asarray(gain, dtype=np.float64), np.asarray(cost, dtype=np.float64)).any(axis=0)
    front: np.ndarray = ~dominated & ~np.isnan(np.asarray(gain, dtype=np.float64) + np.asarray(cost, dtype=np.float64))
    return front


def ruled_out(points: list[Seeds]) -> list[RuledOut]:
    """For each point, whether the seeds show that some other has more gain and less cost.

    For one pair the larger p of two one-sided t-tests, an intersection-union test (Berger 1982): paired where the seeds
    are the same, else Welch's. The least of them times N - 1 (Bonferroni), at most 1; without variance nothing is
    shown, and p is 1.
    """
    gain, cost = (np.array([getattr(point, name).mean() for point in points]) for name in ("gain", "cost"))
    better = _dominates(gain, cost)  # [better, worse]; elsewhere one of the two p-values is above 0.5
    found = []
    for i, worse in enumerate(points):
        pairs = [(_both_p(points[j], worse), int(j)) for j in np.flatnonzero(better[:, i])]
        p, by = min(pairs, default=(1.0, None), key=lambda pair: pair[0])
        found.append(RuledOut(min(1.0, p * max(1, len(points) - 1)), by))
    return found


def _both_p(better: Seeds, worse: Seeds) -> float:
    paired = better.seeds == worse.seeds
    p = max(larger_mean_p(better.gain, worse.gain, paired), larger_mean_p(worse.cost, better.cost, paired))
    return 1.0 if np.isnan(p) else p


def _dominates(gain: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Whether point j is better than point i by the means: bool [j, i]; an undefined one never is."""
    no_worse = (gain[:, None] >= gain) & (cost[:, None] <= cost)
    result: np.ndarray = no_worse & ((gain[:, None] > gain) | (cost[:, None] < cost))
    return result
