"""From loaded runtimes to rows of a latency file: every batch size, every artefact, ratios and the control."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from edgefair.errors import ArtefactError, EdgefairError
from edgefair.latency.energy import Meter
from edgefair.latency.record import summary
from edgefair.latency.rounds import Call, Clock, Samples, interleave
from edgefair.latency.rules import Rules, headline
from edgefair.latency.speedup import STATISTICS, Noise, Speedup, is_stable, label, speedup
from edgefair.runtimes import Runtime
from edgefair.seeds import generator

CONTROL = "the first again"  # a name in latency files


@dataclass(frozen=True)
class BenchTarget:
    """What is timed: a runtime that is ready; batch is the only batch size that it takes, 0 where any."""

    runtime: Runtime
    batch: int = 0
    timed: bool = True  # False: the minimum of calls is enough, however short they are


@dataclass(frozen=True)
class Design:
    """What is compared with what: `against[name]` is the other of the ratio; the control is a second load of one."""

    rules: Rules
    against: dict[str, str]
    control: tuple[str, BenchTarget] | None = None
    seed: int = 0
    noise: Noise = field(default_factory=Noise)


def batch_sizes(targets: dict[str, BenchTarget], wanted: tuple[int, ...]) -> list[int]:
    """The wanted sizes in their order, then those that engines for one size need."""
    return list(dict.fromkeys([*wanted, *(one.batch for one in targets.values() if one.batch)]))


def measure(
    targets: dict[str, BenchTarget],
    call_of: Callable[[Runtime, int], Call],
    batches: list[int],
    design: Design,
    *,
    advance: Callable[[int], None] = lambda _: None,
    clock: Clock = time.perf_counter,
    meter: Meter | None = None,
) -> dict:
    """{"artefacts", "control", "rounds"} of a latency file: every target at every batch size that it takes.

    call_of(runtime, batch): what answers the i-th query with that runtime. advance, clock, meter: as of `interleave`.
    Raises ArtefactError where a target does not take a batch.
    """
    record: dict[str, dict[str, Any]] = {"artefacts": {name: {} for name in targets}, "control": {}, "rounds": {}}
    for batch in batches:
        taking = {name: one for name, one in targets.items() if one.batch in (0, batch)}
        if design.control and design.control[0] in taking:
            taking[CONTROL] = design.control[1]
        calls = {name: call_of(one.runtime, batch) for name, one in taking.items()}
        for name, call in calls.items():
            _try(name, call, batch)
        untimed = [name for name, one in taking.items() if not one.timed]
        rng = generator(design.seed, "bench", batch)
        samples = interleave(calls, batch, design.rules, rng, advance, clock, meter, untimed)
        _write_batch(record, str(batch), batch, samples, design)
    return record


def _try(name: str, call: Call, batch: int) -> None:
    """One call, for a library's own exception says little of what to do."""
    try:
        call(0)
    except EdgefairError:
        raise
    except Exception as error:
        raise ArtefactError(
            f"{name} cannot take a batch of {batch} ({type(error).__name__}: {error}). Choose other --batches."
        ) from error


def _write_batch(record: dict, key: str, batch: int, samples: dict[str, Samples], design: Design) -> None:
    stable = None
    if design.control and CONTROL in samples:
        again = _ratio(samples, CONTROL, design.control[0], headline(design.rules.scenario), design.seed)
        stable = is_stable(again, design.noise)
        record["control"][key] = {"of": design.control[0], **again.to_dict(), "quiet": stable}
    record["rounds"][key] = {}
    for name, one in samples.items():
        values = {f"{what}_ms": [float(take(part)) for part in one.rounds] for what, take in STATISTICS.items()}
        record["rounds"][key][name] = values
        if name == CONTROL:
            continue
        row = summary(one.pooled, batch, one.joules)
        other = design.against.get(name)
        if other in samples:
            row["speedup"] = {"to": other, **_speedups(samples, name, other, stable, design)}
        record["artefacts"][name][key] = row


def _speedups(samples: dict[str, Samples], name: str, other: str, stable: bool | None, design: Design) -> dict:
    found = {what: _ratio(samples, name, other, what, design.seed) for what in STATISTICS}
    return {what: {**one.to_dict(), "word": label(one, stable, design.noise)} for what, one in found.items()}


def _ratio(samples: dict[str, Samples], name: str, other: str, what: str, seed: int) -> Speedup:
    return speedup(samples[other].rounds, samples[name].rounds, what, generator(seed, "bench", "interval"))
