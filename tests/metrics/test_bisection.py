"""Halving: the ends of a real interval, and the last integer."""

import pytest

from edgefair.metrics.bisection import bisect, last_holding


def test_a_root_lies_between_the_ends():
    low, high = bisect(lambda x: x * x < 2, 0.0, 2.0, 60)
    assert low <= 2**0.5 <= high
    assert high - low < 1e-15


@pytest.mark.parametrize("last", [-1, 0, 5, 99])
def test_the_last_integer_that_holds_is_found_without_asking_the_ends(last):
    asked = []

    def holds(value: int) -> bool:
        asked.append(value)
        return value <= last

    assert last_holding(holds, -1, 100) == last
    assert not {-1, 100} & set(asked)
    assert len(asked) <= 7
