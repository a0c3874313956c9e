"""From loaded runtimes to rows of a latency file: every batch size, every artefact, ratios and the control."""

from collections.abc import Callable
from dataclasses import dataclass, field

from edgefair.errors import ArtefactError, EdgefairError
from edgefair.latency import record as latency
from edgefair.latency.rounds import Contestant, Samples, interleave
from edgefair.latency.rules import Rules, headline
from edgefair.latency.speedup import STATISTICS, Noise, Speedup, quiet, speedup, word
from edgefair.runtimes import Runtime
from edgefair.seeds import generator

CONTROL = "the first again"


@dataclass(frozen=True)
class Loaded:
    """A runtime that is ready; batch is the only batch size that it takes, 0 where any."""

    runtime: Runtime
    batch: int = 0
    timed: bool = True  # False: the minimum of calls is enough, however short they are


@dataclass(frozen=True)
class Design:
    """What is compared with what: `against[name]` is the other of the ratio; the control is a second load of one."""

    rules: Rules
    against: dict[str, str]
    control: tuple[str, Loaded] | None = None
    seed: int = 0
    noise: Noise = field(default_factory=Noise)


def batch_sizes(loaded: dict[str, Loaded], wanted: tuple[int, ...]) -> list[int]:
    """The wanted sizes in their order, then those that engines for one size need."""
    return list(dict.fromkeys([*wanted, *(one.batch for one in loaded.values() if one.batch)]))


def measure(
    loaded: dict[str, Loaded],
    call_of: Callable[[Runtime, int], Callable[[int], object]],
    batches: list[int],
    design: Design,
    **how,
) -> dict:
    """{"artefacts", "control", "rounds"} of a latency file. how: advance, clock and meter of `interleave`."""
    record = {"artefacts": {name: {} for name in loaded}, "control": {}, "rounds": {}}
    for batch in batches:
        entrants = {name: one for name, one in loaded.items() if one.batch in (0, batch)}
        if design.control and design.control[0] in entrants:
            entrants[CONTROL] = design.control[1]
        calls = {name: Contestant(call_of(one.runtime, batch), one.timed) for name, one in entrants.items()}
        for name, one in calls.items():
            _try(name, one, batch)
        samples = interleave(calls, batch, design.rules, generator(design.seed, "bench", batch), **how)
        _write_batch(record, str(batch), batch, samples, design)
    return record


def _try(name: str, contestant: Contestant, batch: int) -> None:
    """One call, for a library's own exception says little of what to do."""
    try:
        contestant.call(0)
    except EdgefairError:
        raise
    except Exception as error:
        raise ArtefactError(
            f"{name} cannot take a batch of {batch} ({type(error).__name__}: {error}). Choose other --batches."
        ) from error


def _write_batch(record: dict, key: str, batch: int, samples: dict[str, Samples], design: Design) -> None:
    is_quiet = None
    if CONTROL in samples:
        again = _ratio(samples, CONTROL, design.control[0], headline(design.rules.scenario), design.seed)
        is_quiet = quiet(again, design.noise)
        record["control"][key] = {"of": design.control[0], **again.to_dict(), "quiet": is_quiet}
    record["rounds"][key] = {}
    for name, one in samples.items():
        values = {f"{what}_ms": [float(take(part)) for part in one.rounds] for what, take in STATISTICS.items()}
        record["rounds"][key][name] = values
        if name == CONTROL:
            continue
        row = latency.summary(one.pooled, batch, one.joules)
        other = design.against.get(name)
        if other in samples:
            row["speedup"] = {"to": other, **_speedups(samples, name, other, is_quiet, design)}
        record["artefacts"][name][key] = row


def _speedups(samples: dict[str, Samples], name: str, other: str, is_quiet: bool | None, design: Design) -> dict:
    found = {what: _ratio(samples, name, other, what, design.seed) for what in STATISTICS}
    return {what: {**one.to_dict(), "word": word(one, is_quiet, design.noise)} for what, one in found.items()}


def _ratio(samples: dict[str, Samples], name: str, other: str, what: str, seed: int) -> Speedup:
    return speedup(samples[other].rounds, samples[name].rounds, what, generator(seed, "bench", "interval"))
