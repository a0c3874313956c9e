"""The cheapest operators in float with which every tolerance of the gate holds, on ranking rows alone."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from edgefair.export.mixed_precision.ranking_rows import RankingRows
from edgefair.gate import Tolerance, compare
from edgefair.gate.checks import Check

AIM = 0.5
"""Share of each tolerance that may be used on the ranking rows: the gate passes on an upper bound, not on a value."""


@dataclass(frozen=True)
class Choice:
    """What the search ended with: the units in float, whether every tolerance holds with them, and how it got there."""

    kept: tuple[str, ...]
    holds: bool
    tried: int  # variants that were evaluated
    returned: tuple[str, ...] = ()  # taken into float on the way and found unneeded

    def to_dict(self) -> dict:
        """The choice as JSON values."""
        return {"kept": list(self.kept), "holds": self.holds, "tried": self.tried, "returned": list(self.returned)}


def choose(
    order: Sequence[str], costs: dict[str, float], holds: Callable[[tuple[str, ...]], bool], most: int | None = None
) -> Choice:
    """Take units into float in that order until `holds`, then give back each that is not needed, dearest first.

    At most `most` units (None: all). `holds` is asked with the units in float. How many are taken is found by doubling
    and halving, which asks few times and supposes that more units in float hold where fewer do. Where even the last set
    does not hold, it is returned as it is, with holds = False.
    """
    tried = 0

    def ask(kept: tuple[str, ...]) -> bool:
        nonlocal tried
        tried += 1
        return holds(kept)

    names = tuple(order[:most])
    count = _fewest(lambda count: ask(names[:count]), len(names))
    met, kept = count is not None, names[:count]
    returned: tuple[str, ...] = ()
    if met:
        # The last one taken is needed: without it the tolerances did not hold.
        for name in sorted(kept[:-1], key=lambda name: -costs[name]):
            fewer = tuple(other for other in kept if other != name)
            if ask(fewer):
                kept, returned = fewer, (*returned, name)
    return Choice(kept, met, tried, returned)


def _fewest(holds: Callable[[int], bool], most: int) -> int | None:
    """The smallest count up to `most` that holds, if all larger ones do; None where `most` does not hold."""
    low, high = -1, 0
    while not holds(high):
        if high == most:
            return None
        low, high = high, min(most, max(1, 2 * high))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def within(rows: RankingRows, logits, tolerance: Tolerance, aim: float = AIM) -> bool:
    """Whether what is observed on the ranking rows stays within `aim` times every gated tolerance, nothing collapsed.

    The observed values are judged, not their bounds: the rows are too few for bounds, and the gate rows will have them.
    """
    return not over(rows, logits, tolerance, aim)


def over(rows: RankingRows, logits, tolerance: Tolerance, aim: float = AIM) -> list[Check]:
    """The gated checks that are not held, on the ranking rows."""
    reference, candidate = rows.predictions(rows.reference), rows.predictions(logits)
    few = replace(tolerance, replicates=100)  # bounds are not looked at
    checks = compare(reference, candidate, few, claim="same").checks
    return [check for check in checks if check.gated and not _held(check, aim)]


def _held(check: Check, aim: float) -> bool:
    if check.name == "collapse":
        return check.outcome == "pass"
    return not math.isnan(check.value) and check.value <= aim * check.limit + 1e-9
