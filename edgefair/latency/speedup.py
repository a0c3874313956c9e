"""How much faster one artefact is than another, with an interval, or that the machine is too noisy to say."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

REPLICATES = 2000
LEVEL = 0.95

STATISTICS: dict[str, Callable[[np.ndarray], float]] = {
    "p50": np.median,
    "p90": lambda times: np.quantile(times, 0.9),
    "mean": np.mean,
}


@dataclass(frozen=True)
class Noise:
    """When no difference is claimed, as ratios. A stable machine measures one artefact twice and finds the same."""

    control: float = 1.05  # the first artefact beside itself may differ by this factor
    widest: float = 1.25  # upper end over lower end of an interval that is to show "no difference"


@dataclass(frozen=True)
class Speedup:
    """Time of the other over time of this one: 2 is twice as fast."""

    ratio: float
    interval: tuple[float, float]

    def to_dict(self) -> dict:
        return asdict(self)


def speedup(theirs: list[np.ndarray], mine: list[np.ndarray], statistic: str, rng: np.random.Generator) -> Speedup:
    """Median over rounds of the ratio of a statistic, with the bootstrap's percentile interval over rounds.

    theirs, mine: call times of round 1, 2, ... Ratios are taken within a round, because what disturbs a machine for
    seconds disturbs both; the median over rounds, because what disturbs it for less hits one of them in few rounds.
    """
    take = STATISTICS[statistic]
    ratios = np.array([take(a) / take(b) for a, b in zip(theirs, mine, strict=True)])  # [R]
    drawn = rng.integers(0, len(ratios), (REPLICATES, len(ratios)))
    medians = np.median(ratios[drawn], axis=1)
    low, high = np.quantile(medians, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Speedup(float(np.median(ratios)), (float(low), float(high)))


def is_stable(control: Speedup, noise: Noise) -> bool:
    """Whether an artefact measured twice was found the same, and closely enough."""
    low, high = control.interval
    return 1 / noise.control <= control.ratio <= noise.control and high / low <= noise.widest


def label(found: Speedup, stable: bool | None, noise: Noise) -> str:
    """faster, slower, "no difference", or inconclusive: the machine is not stable, or a wide interval holds 1."""
    low, high = found.interval
    if stable is False:
        return "inconclusive"
    if low > 1 or high < 1:
        return "faster" if low > 1 else "slower"
    return "no difference" if high / low <= noise.widest else "inconclusive"
