"""The Pareto set equals a search over all pairs, and a point is ruled out only where SciPy's tests say so."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from edgefair.metrics.hypothesis_tests import larger_mean_p
from edgefair.metrics.pareto import Seeds, pareto_set, ruled_out

# Few values, so that ties are common; NaN is undefined.
VALUE = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, math.nan])


@settings(derandomize=True, deadline=None)
@given(st.lists(st.tuples(VALUE, VALUE), max_size=12))
def test_the_set_equals_a_search_over_all_pairs(points):
    def beaten(i: int) -> bool:
        gain, cost = points[i]
        return any(g >= gain and c <= cost and (g, c) != (gain, cost) for g, c in points)

    expected = [not (math.isnan(g) or math.isnan(c)) and not beaten(i) for i, (g, c) in enumerate(points)]
    gain, cost = ([point[side] for point in points] for side in (0, 1))
    assert pareto_set(gain, cost).tolist() == expected


def seeds(gain: float, cost: float, n: int = 4, start: int = 0, spread: float = 0.01) -> Seeds:
    rng = np.random.default_rng((start, n, round(1000 * gain)))
    return Seeds(tuple(range(start, start + n)), *(rng.normal(mean, spread, n) for mean in (gain, cost)))


@pytest.mark.parametrize("start", [0, 10], ids=["paired", "welch"])
def test_p_is_the_larger_of_two_tests_times_the_other_points(start):
    worse, better, third = seeds(0.6, 0.3), seeds(0.65, 0.24, start=start), seeds(0.2, 0.1)
    test = stats.ttest_rel if start == 0 else lambda a, b, **k: stats.ttest_ind(a, b, equal_var=False, **k)
    both = max(
        test(better.gain, worse.gain, alternative="greater").pvalue,
        test(worse.cost, better.cost, alternative="greater").pvalue,
    )
    found = ruled_out([worse, better, third])
    assert (found[0].by, found[0].p) == (1, pytest.approx(2 * both))
    assert [(one.by, one.p) for one in found[1:]] == [(None, 1.0)] * 2


def test_nothing_is_ruled_out_without_several_seeds_or_by_what_is_better_in_one_alone():
    assert [one.p for one in ruled_out([seeds(0.1, 0.9, n=1), seeds(0.9, 0.1, n=1)])] == [1.0, 1.0]
    assert ruled_out([seeds(0.5, 0.5)]) == [(1.0, None)]
    assert ruled_out([]) == []
    same = Seeds((0, 1), np.array([0.5, 0.5]), np.array([0.1, 0.1]))
    better = Seeds((0, 1), np.array([0.6, 0.6]), np.array([0.05, 0.05]))
    assert ruled_out([same, better])[0].p == 1.0  # no variance, so no test
    assert [one.by for one in ruled_out([seeds(0.5, 0.1), seeds(0.9, 0.2)])] == [None, None]


def test_one_sided_p_points_the_right_way():
    a, b = seeds(0.6, 0.3), seeds(0.5, 0.3, start=9)
    for ours, theirs in ((a, b), (b, a)):
        known = stats.ttest_ind(ours.gain, theirs.gain, equal_var=False, alternative="greater")
        assert larger_mean_p(ours.gain, theirs.gain, False) == pytest.approx(known.pvalue)
