"""The cheapest operators in float with which every tolerance of the gate holds, on ranking rows alone."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgefair.export.mixed_precision.ranking_rows import RankingRows
from edgefair.gate import Tolerance, judge_artefact
from edgefair.gate.checks import Check
from edgefair.gate.claims import EQUIVALENCE
from edgefair.gate.limits import Limits
from edgefair.metrics.bisection import last_holding

TOLERANCE_FRACTION = 0.5
"""Share of each tolerance that may be used on the ranking rows: the gate passes on an upper bound, not on a value."""


@dataclass(frozen=True)
class Choice:
    """What the search ended with: the units in float, whether every tolerance holds with them, and how it got there."""

    kept: tuple[str, ...]
    holds: bool
    tried: int  # variants that were evaluated
    reverted: tuple[str, ...] = ()  # taken into float on the way and found unneeded

    def to_dict(self) -> dict:
        """The choice as JSON values."""
        return {"kept": list(self.kept), "holds": self.holds, "tried": self.tried, "returned": list(self.reverted)}


def choose(
    order: Sequence[str], costs: dict[str, float], holds: Callable[[tuple[str, ...]], bool], most: int | None = None
) -> Choice:
    """Take units into float in that order until `holds`, then revert each that is not needed, most expensive first.

    order, costs: the units as `sensitivity.order` ranks them, and what each costs in float. holds: whether the
    tolerances hold with these units in float. most: the largest number of them, None for all. How many are taken is
    found by doubling and halving, which needs few calls and supposes that more units in float hold where fewer do.
    Where even the last set does not hold, it is the result as it is, with holds = False.
    """
    tried = 0

    def ask(kept: tuple[str, ...]) -> bool:
        nonlocal tried
        tried += 1
        return holds(kept)

    names = tuple(order[:most])
    count = _fewest(lambda count: ask(names[:count]), len(names))
    met, kept = count is not None, names[:count]
    reverted: tuple[str, ...] = ()
    if met:
        # The last one taken is needed: without it the tolerances did not hold.
        for name in sorted(kept[:-1], key=lambda name: -costs[name]):
            fewer = tuple(other for other in kept if other != name)
            if ask(fewer):
                kept, reverted = fewer, (*reverted, name)
    return Choice(kept, met, tried, reverted)


def _fewest(holds: Callable[[int], bool], most: int) -> int | None:
    """The smallest count up to `most` that holds, if all larger ones do; None where `most` does not hold."""
    low, high = -1, 0
    while not holds(high):
        if high == most:
            return None
        low, high = high, min(most, max(1, 2 * high))
    return last_holding(lambda count: not holds(count), low, high) + 1


def meets_tolerances(
    rows: RankingRows, logits: np.ndarray, tolerance: Tolerance, fraction: float = TOLERANCE_FRACTION
) -> bool:
    """Whether what is observed on the ranking rows is within `fraction` of every gated tolerance, nothing collapsed.

    rows: the ranking rows. logits: the candidate's on them, [N, C]. tolerance: of the gate. The observed values are
    judged, not their bounds: the rows are too few for bounds, and the gate rows will have them.
    """
    return not violated_checks(rows, logits, tolerance, fraction)


def violated_checks(
    rows: RankingRows, logits: np.ndarray, tolerance: Tolerance, fraction: float = TOLERANCE_FRACTION
) -> list[Check]:
    """The gated checks that do not hold on the ranking rows; rows, logits, tolerance, fraction: as there."""
    reference, candidate = rows.predictions(rows.reference), rows.predictions(logits)
    limits = Limits(EQUIVALENCE, replace(tolerance, replicates=100))  # bounds are not looked at
    checks = judge_artefact(reference, candidate, limits).checks
    return [check for check in checks if check.gated and not _holds(check, fraction)]


def _holds(check: Check, fraction: float) -> bool:
    if check.name == "collapse":
        return check.outcome == "pass"
    return not math.isnan(check.value) and check.value <= fraction * check.limit + 1e-9
