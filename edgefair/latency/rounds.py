"""Interleaved timing: every artefact in every round, in random order, so that a disturbance hits all of them alike."""

import contextlib
import gc
import time
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from edgefair.latency.energy import NoMeter
from edgefair.latency.rules import Rules

Clock = Callable[[], float]


@dataclass(frozen=True)
class Contestant:
    """What is timed: `call(i)` answers the i-th query. timed: False for what has to meet the number of calls only."""

    call: Callable[[int], object]
    timed: bool = True


@dataclass(frozen=True)
class Samples:
    """Milliseconds of each call, by round, and the energy of all rounds; joules None where nothing reports it."""

    rounds: list[np.ndarray]
    joules: float | None

    @property
    def pooled(self) -> np.ndarray:
        return np.concatenate(self.rounds)


def interleave(
    contestants: dict[str, Contestant],
    batch: int,
    rules: Rules,
    rng: np.random.Generator,
    advance: Callable[[int], None] = lambda _: None,
    clock: Clock = time.perf_counter,
    meter=None,
) -> dict[str, Samples]:
    """Warm every contestant up, then measure all of them in each round, the order drawn anew.

    Each is measured for its share of the rules' queries and of the rules' time, whichever takes longer; the first call
    of a share refills the caches and is not counted.
    """
    meter = meter or NoMeter()
    for one in contestants.values():
        for i in range(rules.warmup):
            one.call(i)
    found: dict[str, list[np.ndarray]] = {name: [] for name in contestants}
    joules: dict[str, list[float | None]] = {name: [] for name in contestants}
    for _ in range(rules.rounds):
        for name in rng.permutation(list(contestants)).tolist():
            one = contestants[name]
            seconds = rules.slice_seconds if one.timed else 0.0
            one.call(0)
            with _no_collection():
                meter.start()
                found[name].append(_share(one.call, rules.calls(batch), seconds, clock))
                joules[name].append(meter.stop())
            advance(1)
    return {name: Samples(found[name], _total(joules[name])) for name in contestants}


def _share(call: Callable[[int], object], calls: int, seconds: float, clock: Clock) -> np.ndarray:
    """Milliseconds of at least `calls` calls that together last at least `seconds`."""
    times = array("d")
    begun = now = clock()
    while len(times) < calls or now - begun < seconds:
        start = clock()
        call(len(times))
        now = clock()
        times.append(now - start)
    return np.frombuffer(times) * 1e3


def _total(joules: list[float | None]) -> float | None:
    return None if None in joules else sum(joules)


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """No pauses of Python's garbage collector: they are the harness's, not the artefact's."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
