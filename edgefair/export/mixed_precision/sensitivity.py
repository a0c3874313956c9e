"""Which operators' quantisation hurts which group: the drop of the margin error when one unit goes back to float."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgefair.export.mixed_precision.ranking_rows import RankingRows

RANKS = ("worst-group", "mean")


LEAST_SHARE = 0.01
"""Share of the error with everything quantised that a unit must take away to be worth its cost."""


@dataclass(frozen=True)
class Sensitivity:
    """Squared margin errors with one unit in float and everything else quantised: by group [G], and over all rows."""

    unit: str  # "" where no unit is in float
    errors: tuple[float | None, ...]  # None or NaN for a group without rows
    mean: float

    def error(self, rank: str) -> float:
        """What a ranking looks at: the largest error of any group ("worst-group"), or that of all rows ("mean")."""
        return self.mean if rank == "mean" else max(e for e in self.errors if e is not None and e == e)


def sensitivities(
    logits: Callable[[set[str]], np.ndarray],
    units: dict[str, tuple[str, ...]],
    rows: RankingRows,
    advance: Callable[[int], None] = lambda _: None,
) -> tuple[Sensitivity, list[Sensitivity]]:
    """The errors with everything quantised, and with each unit in float; E_g = mean over group g of (m - m_ref)^2.

    logits maps the set of quantised nodes to the logits [N, C] of `rows`. units: name -> nodes. advance: called with
    the number of units that are done. One pass over the rows for each unit.
    """
    every = {node for nodes in units.values() for node in nodes}

    def look(name: str, quantized: set[str]) -> Sensitivity:
        errors = rows.margin_errors(logits(quantized))
        advance(1 if name else 0)
        return Sensitivity(name, tuple(rows.by_group(errors).tolist()), float(errors.mean()))

    return look("", every), [look(name, every - set(nodes)) for name, nodes in units.items()]


def error_drops(before: Sensitivity, ranked: list[Sensitivity], rank: str) -> dict[str, float]:
    """How far the error that `rank` looks at falls when a unit goes back to float, by unit."""
    return {one.unit: before.error(rank) - one.error(rank) for one in ranked}


def order(before: Sensitivity, ranked: list[Sensitivity], rank: str, costs: dict[str, float]) -> list[str]:
    """Units by how far the error falls per cost, best first; after them by the fall alone those that repair little.

    before, ranked: the errors with everything quantised, and with each unit in float. rank: which error
    (`Sensitivity.error`). costs: of each unit in float. Little is less than `LEAST_SHARE` of the error with everything
    quantised. Without that floor the cheapest operators would come first although they repair nothing.
    """
    drops = error_drops(before, ranked, rank)
    worth = {name: drop >= LEAST_SHARE * before.error(rank) and drop > 0 for name, drop in drops.items()}
    return sorted(drops, key=lambda name: (not worth[name], -drops[name] / (costs[name] if worth[name] else 1.0)))
