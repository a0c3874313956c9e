"""Axes that the drawings of a frontier share, and how its numbers are written."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from edgefair.report.chart import points
from edgefair.report.svg import Axis


class Spot(NamedTuple):
    """A point as it is drawn, in percent and points."""

    accuracy: float
    disparity: float
    accuracy_ends: tuple[float, float] | None
    disparity_ends: tuple[float, float] | None


def spot(measured: dict) -> Spot | None:
    """Where a point or teacher is drawn; None where a number is undefined."""
    sides = [measured["metrics"][name] for name in ("accuracy", "mean_abs_disparity")]
    if None in (means := [points(side["mean"]) for side in sides]):
        return None
    ends = [None if None in (both := [points(end) for end in side["interval"]]) else tuple(both) for side in sides]
    return Spot(*means, *ends)


class LambdaScale:
    """lambda on log(1 + lambda / l), l the smallest above 0: 0 has a place, and 150 does not squeeze 0.5 and 1."""

    def __init__(self, lambdas: Iterable[float], start: float, end: float):
        self.values = sorted({*lambdas})
        self.unit = next((value for value in self.values if value > 0), 1.0)
        self.axis = Axis(self._place(self.values[0]), self._place(self.values[-1]) or 1.0, start, end)

    def at(self, lam: float) -> float:
        """The pixel of a lambda."""
        return self.axis.at(self._place(lam)) if self.axis.high > self.axis.low else self.axis.start

    def ticks(self, least: float) -> list[float]:
        """The lambdas that ran, without those nearer than `least` pixels to the one before."""
        kept = [self.values[-1]]
        for value in reversed(self.values[:-1]):
            if abs(self.at(kept[-1]) - self.at(value)) >= least:
                kept.append(value)
        return kept[::-1]

    def _place(self, lam: float) -> float:
        return math.log1p(lam / self.unit)


def extent(means: list[float], ends: Iterable[float]) -> tuple[float, float]:
    """What an axis shows: all means, and of intervals what does not squeeze them; of two seeds they have any width."""
    low, high = (min(means), max(means)) if means else (0.0, 100.0)
    room = max(0.35 * (high - low), 3.0)
    inside = [*(min(max(end, low - room), high + room) for end in ends), low, high]
    margin = max(1.0, 0.06 * (max(inside) - min(inside)))
    return max(0.0, min(inside) - margin), min(100.0, max(inside) + margin)


def ranges(spots: list[Spot], floor: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Low and high of accuracy and of disparity, which begins at 0."""
    across = extent([s.accuracy for s in spots], (end for s in spots for end in s.accuracy_ends or ()))
    up = extent([*(s.disparity for s in spots), floor], (end for s in spots for end in s.disparity_ends or ()))
    return across, (0.0, up[1])


def floors(measured: list[dict]) -> tuple[float, float, float] | None:
    """Smallest, mean and largest noise floor of the mean absolute disparity, in points; None where none is defined."""
    known = [points(v) for one in measured if (v := one["metrics"]["mean_abs_disparity"]["floor"]) is not None]
    return (min(known), sum(known) / len(known), max(known)) if known else None


def lambda_text(lam: float) -> str:
    """A lambda as one writes it."""
    return f"{lam:g}"


def label(point: dict) -> str:
    """A point's name: method and, where the strategy reads it, lambda."""
    return point["method"] if point["strategy"] == "plain" else f"{point['method']}, λ {lambda_text(point['lam'])}"
