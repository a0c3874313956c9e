"""The latency stage of the main job: every artefact of a run, on images that no verdict is drawn from."""

from contextlib import ExitStack

import numpy as np

from edgefair.data import Examples
from edgefair.latency.clocks import clocks
from edgefair.latency.energy import find_meter
from edgefair.latency.measure import BenchTarget, Design, batch_sizes, measure
from edgefair.latency.probe import timed_load
from edgefair.latency.queries import POOL, Queries
from edgefair.latency.rules import Rules
from edgefair.log import Log
from edgefair.pipeline.bench.run import file_facts, header
from edgefair.recipe import Recipe
from edgefair.runtimes.artefact import Artefact


def time_artefacts(artefacts: list[Artefact], examples: Examples, recipe: Recipe, log: Log) -> dict:
    """The record of a latency file: each file beside its target's fp32, that and the teacher beside the student.

    The first exported file is loaded twice: what it differs from itself is the machine's noise. All are closed before
    this returns.
    """
    bench = recipe.bench
    rules = Rules(minimum=bench.repeats, seconds=bench.seconds, warmup=bench.warmup)
    rows = examples.rows["calibration"][: max(POOL, *bench.batches)]
    queries = Queries(np.asarray(examples.images[rows]), source="calibration rows")
    with ExitStack() as stack:

        def ready(one: Artefact) -> tuple[BenchTarget, float]:
            runtime, load_ms = timed_load(one.runtime, one.path, bench.threads)
            return BenchTarget(stack.enter_context(runtime), one.batch, one.runtime != "null"), load_ms

        loads = {one.name: ready(one) for one in artefacts}
        targets = {name: target for name, (target, _) in loads.items()}
        control = next(((one.name, ready(one)[0]) for one in artefacts if one.claim == "same"), None)
        design = Design(rules, _against(artefacts), control, recipe.seed)
        batches = batch_sizes(targets, bench.batches)
        meter, at = find_meter({one.runtime for one in artefacts}), clocks()
        rounds = len(batches) * rules.rounds * (len(targets) + bool(control))
        with log.progress("measuring latency", rounds) as advance:
            timings = measure(targets, queries.call_of, batches, design, advance=advance, meter=meter)
        files = {one.name: _file(one, *loads[one.name]) for one in artefacts}
    return {**header(rules, bench.threads, queries, at, meter.name), "files": files, **timings}


def _against(artefacts: list[Artefact]) -> dict[str, str]:
    """What each is compared with: the fp32 file of its target, of single images for such engines; else the student."""
    names = {one.name for one in artefacts}
    found = {}
    for one in artefacts:
        fp32 = f"{one.target}-fp32" + (f"-b{one.batch}" if one.batch else "")
        if one.name not in ("student", "null"):
            found[one.name] = fp32 if fp32 in names and fp32 != one.name else "student"
    return found


def _file(artefact: Artefact, target: BenchTarget, load_ms: float) -> dict:
    return file_facts(artefact, target) | {"load": "the measuring process", "load_ms": load_ms}
