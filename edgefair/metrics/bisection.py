"""Where a condition stops holding, by bisection."""

from collections.abc import Callable


def bisect(holds: Callable[[float], bool], low: float, high: float, steps: int) -> tuple[float, float]:
    """The ends of an interval that is halved `steps` times; `holds` is true at `low` and false at `high`."""
    for _ in range(steps):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low, high


def last_holding(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The last integer from `low` on for which `holds` is true; at `high` it is false, and neither end is asked."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
