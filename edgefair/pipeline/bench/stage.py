"""The latency stage of the main job: every artefact of a run, on images that no verdict is drawn from."""

import numpy as np

from edgefair.data import Examples
from edgefair.latency.clocks import clocks
from edgefair.latency.energy import find_meter
from edgefair.latency.measure import Design, Loaded, batch_sizes, measure
from edgefair.latency.probe import timed_load
from edgefair.latency.queries import POOL, Queries
from edgefair.latency.rules import Rules
from edgefair.pipeline.bench.run import file_facts, header
from edgefair.recipe import Recipe
from edgefair.runtimes.artefact import Artefact


def time_artefacts(artefacts: list[Artefact], examples: Examples, recipe: Recipe, log) -> dict:
    """The record of a latency file: each file beside its target's fp32, that and the teacher beside the student.

    The first exported file is loaded twice: what it differs from itself is the machine's noise.
    """
    bench = recipe.bench
    rules = Rules(minimum=bench.repeats, seconds=bench.seconds, warmup=bench.warmup)
    rows = examples.rows["calibration"][: max(POOL, *bench.batches)]
    queries = Queries(np.asarray(examples.images[rows]), source="calibration rows")
    loads = {one.name: timed_load(one.runtime, one.path, bench.threads) for one in artefacts}
    loaded = {one.name: Loaded(loads[one.name][0], one.batch, one.runtime != "null") for one in artefacts}
    control = next(((one.name, _again(one, bench.threads)) for one in artefacts if one.claim == "same"), None)
    design = Design(rules, _against(artefacts), control, recipe.seed)
    batches = batch_sizes(loaded, bench.batches)
    meter, at = find_meter({one.runtime for one in artefacts}), clocks()
    with log.progress("measuring latency", len(batches) * rules.rounds * (len(loaded) + bool(control))) as advance:
        timings = measure(loaded, queries.call_of, batches, design, advance=advance, meter=meter)
    files = {one.name: _file(one, loaded[one.name], loads[one.name][1]) for one in artefacts}
    return {**header(rules, bench.threads, queries, at, meter.name), "files": files, **timings}


def _again(artefact: Artefact, threads: int) -> Loaded:
    return Loaded(timed_load(artefact.runtime, artefact.path, threads)[0], artefact.batch)


def _against(artefacts: list[Artefact]) -> dict[str, str]:
    """What each is compared with: the fp32 file of its target, of single images for such engines; else the student."""
    names = {one.name for one in artefacts}
    found = {}
    for one in artefacts:
        fp32 = f"{one.target}-fp32" + (f"-b{one.batch}" if one.batch else "")
        if one.name not in ("student", "null"):
            found[one.name] = fp32 if fp32 in names and fp32 != one.name else "student"
    return found


def _file(one: Artefact, loaded: Loaded, load_ms: float) -> dict:
    about = file_facts(one.path, one.sha256, one.runtime, one.precision, loaded)
    return about | {"load": "the measuring process", "load_ms": load_ms}
