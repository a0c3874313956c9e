"""Which operators' quantisation hurts which group: the drop of the margin error when one unit goes back to float."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgefair.fairquant.rows import Rows

RANKS = ("worst-group", "mean")


@dataclass(frozen=True)
class Sensitivity:
    """Margin errors with one unit in float and everything else quantised, and how far they fell by that.

    errors [G] by group, mean over all rows. worst_drop = max_g E_g - max_g E_g(unit in float); mean_drop likewise.
    """

    unit: str
    errors: tuple[float, ...]
    mean: float
    worst_drop: float
    mean_drop: float

    def drop(self, rank: str) -> float:
        """The drop that a ranking goes by: "worst-group" or "mean"."""
        return self.worst_drop if rank == "worst-group" else self.mean_drop


def sensitivities(
    logits: Callable[[set[str]], np.ndarray], units: dict[str, tuple[str, ...]], rows: Rows, advance=lambda _: None
) -> tuple[np.ndarray, list[Sensitivity]]:
    """(E [G] with everything quantised, a Sensitivity of each unit); E_g = mean over group g of (m - m_ref)^2.

    logits maps the set of quantised nodes to the logits [N, C] of `rows`. One pass over the rows for each unit.
    """
    every = {node for nodes in units.values() for node in nodes}
    before = rows.margin_errors(logits(every))
    groups = rows.by_group(before)
    found = []
    for name, nodes in units.items():
        errors = rows.margin_errors(logits(every - set(nodes)))
        now = rows.by_group(errors)
        drops = np.nanmax(groups) - np.nanmax(now), before.mean() - errors.mean()
        found.append(Sensitivity(name, tuple(now.tolist()), float(errors.mean()), *map(float, drops)))
        advance(1)
    return groups, found


def order(found: list[Sensitivity], rank: str, costs: dict[str, float], least: float) -> list[str]:
    """Units by the drop of the error per cost, best first; those whose drop is under `least` come after, by drop.

    Without that floor the cheapest operators would come first although they repair nothing.
    """
    ranked = sorted(found, key=lambda one: (one.drop(rank) < least, -_benefit(one, rank, costs, least)))
    return [one.unit for one in ranked]


def _benefit(one: Sensitivity, rank: str, costs: dict[str, float], least: float) -> float:
    drop = one.drop(rank)
    return drop / costs[one.unit] if drop >= least else drop
