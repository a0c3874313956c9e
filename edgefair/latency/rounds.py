"""Interleaved timing: every artefact in every round, in random order, so that a disturbance hits all of them alike."""

import contextlib
import gc
import time
from array import array
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import numpy as np

from edgefair.latency.energy import Meter, NoMeter, total
from edgefair.latency.rules import Rules

Clock = Callable[[], float]
Call = Callable[[int], object]  # answers the i-th query


@dataclass(frozen=True)
class Samples:
    """Milliseconds of each call, by round, and the energy of all rounds; joules None where nothing reports it."""

    rounds: list[np.ndarray]
    joules: float | None

    @property
    def pooled(self) -> np.ndarray:
        return np.concatenate(self.rounds)


def interleave(
    calls: dict[str, Call],
    batch: int,
    rules: Rules,
    rng: np.random.Generator,
    advance: Callable[[int], None] = lambda _: None,
    clock: Clock = time.perf_counter,
    meter: Meter | None = None,
    untimed: Collection[str] = (),
) -> dict[str, Samples]:
    """Warm every call up, then measure all of them in each round, the order drawn anew.

    Each is measured for its share of the rules' queries and of the rules' time, whichever takes longer, those in
    `untimed` for the queries alone; the first call of a share refills the caches and is not counted. batch: images of
    each call. advance: told of every share that is done. clock: seconds.
    """
    meter = meter or NoMeter()
    for call in calls.values():
        for i in range(rules.warmup):
            call(i)
    found: dict[str, list[np.ndarray]] = {name: [] for name in calls}
    joules: dict[str, list[float | None]] = {name: [] for name in calls}
    for _ in range(rules.rounds):
        for name in rng.permutation(list(calls)).tolist():
            seconds = 0.0 if name in untimed else rules.slice_seconds
            calls[name](0)
            with _no_collection():
                meter.start()
                found[name].append(_share(calls[name], rules.calls(batch), seconds, clock))
                joules[name].append(meter.stop())
            advance(1)
    return {name: Samples(found[name], total(joules[name])) for name in calls}


def _share(call: Call, least: int, seconds: float, clock: Clock) -> np.ndarray:
    """Milliseconds of at least `least` calls that together last at least `seconds`."""
    times = array("d")
    begun = now = clock()
    while len(times) < least or now - begun < seconds:
        start = clock()
        call(len(times))
        now = clock()
        times.append(now - start)
    return np.frombuffer(times) * 1e3


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
