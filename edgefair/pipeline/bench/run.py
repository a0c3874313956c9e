"""`edgefair bench`: load, measure, probe, write down, judge."""

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from edgefair.errors import RecipeError
from edgefair.latency.clocks import clocks
from edgefair.latency.energy import find_meter
from edgefair.latency.measure import BenchTarget, Design, batch_sizes, measure
from edgefair.latency.probe import probe
from edgefair.latency.queries import Queries, folder_queries, random_queries
from edgefair.latency.record import KIND, SCHEMA
from edgefair.latency.rules import Rules
from edgefair.latency.speedup import Noise
from edgefair.log import Log
from edgefair.runtimes import Runtime, load_runtime
from edgefair.runtimes.artefact import Artefact
from edgefair.runtimes.machine import describe_machine

NULL = "null"


@dataclass(frozen=True)
class Plan:
    """What the command line asks for."""

    rules: Rules
    batches: tuple[int, ...] = (1,)
    threads: int = 1
    size: int | None = None
    images: Path | None = None
    include_preprocess: bool = False
    seed: int = 0
    probe: bool = True
    noise: Noise = field(default_factory=Noise)


def run_bench(artefacts: list[Artefact], plan: Plan, log: Log) -> dict:
    """Measure all artefacts interleaved and return the record of a latency file; the first is what others are beside.

    The first is loaded twice, because two files that are loaded differ by where their memory lies even on a machine
    that stands still: what it differs from itself is that, and the machine's noise. A runtime that computes nothing is
    measured among them: what it takes is the harness's. All are closed before this returns.
    """
    with ExitStack() as stack:

        def ready(runtime: str, path: Path) -> Runtime:
            return stack.enter_context(load_runtime(runtime, path, plan.threads))

        runtimes = {one.name: ready(one.runtime, one.path) for one in artefacts}
        queries = _queries(list(runtimes.values()), plan)
        targets = {one.name: _target(one, runtimes[one.name]) for one in artefacts}
        first = artefacts[0]
        again = _target(first, ready(first.runtime, first.path))
        if NULL not in {one.runtime for one in artefacts}:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            (folder / "null.txt").write_text(str(runtimes[first.name].num_classes))
            targets[NULL] = BenchTarget(ready(NULL, folder / "null.txt"), timed=False)
        against = {one.name: first.name for one in artefacts[1:]}
        design = Design(plan.rules, against, (first.name, again), plan.seed, plan.noise)
        meter = find_meter({one.runtime for one in artefacts})
        batches = batch_sizes(targets, plan.batches)
        rounds = len(batches) * plan.rules.rounds * (len(targets) + 1)
        before = clocks()
        with log.progress("measuring", rounds) as advance:
            timings = measure(targets, queries.call_of, batches, design, advance=advance, meter=meter)
        facts = {one.name: file_facts(one, targets[one.name]) for one in artefacts}
    files = {one.name: facts[one.name] | _needs(one, targets[one.name], queries, plan) for one in artefacts}
    return {**header(plan.rules, plan.threads, queries, before, meter.name), "files": files, **timings}


def _target(artefact: Artefact, runtime: Runtime) -> BenchTarget:
    """An engine without a manifest's word says itself whether it takes one batch size only."""
    return BenchTarget(runtime, artefact.batch or runtime.batch, artefact.runtime != NULL)


def header(rules: Rules, threads: int, queries: Queries, at: dict, energy: str) -> dict:
    """What a latency file says of the whole measurement."""
    return {
        "schema": SCHEMA,
        "kind": KIND,
        "measured": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "threads": threads,
        "scenario": rules.scenario,
        "rules": rules.to_dict(),
        "preprocessing": queries.about(),
        "clocks": at,
        "energy": energy,
    }


def _queries(runtimes: list[Runtime], plan: Plan) -> Queries:
    sizes = {runtime.size for runtime in runtimes if runtime.size}
    sizes |= {plan.size} if plan.size else set()
    if len(sizes) != 1:
        reason = (
            f"are for images of {sorted(sizes)} pixels a side" if sizes else "do not say how large their images are"
        )
        raise RecipeError(f"these artefacts {reason}; give one size with --size, and files that take it.")
    (size,) = sizes
    if plan.images is None:
        return random_queries(size, plan.seed)
    return folder_queries(plan.images, size, plan.include_preprocess)


def _needs(artefact: Artefact, target: BenchTarget, queries: Queries, plan: Plan) -> dict:
    """Load time and memory in a fresh process, where they are asked for."""
    if not plan.probe:
        return {}
    batch, size = target.batch or plan.batches[0], queries.images.shape[-1]
    found = probe(artefact.runtime, artefact.path, plan.threads, batch, size)
    return {"load": "a fresh process"} | found


def file_facts(artefact: Artefact, target: BenchTarget) -> dict:
    """What identifies a file and what ran it."""
    file = {"sha256": artefact.sha256, "bytes": artefact.path.stat().st_size}
    about = file | {"precision": artefact.precision, "batch": target.batch}
    return about | target.runtime.describe() | {"runtime": artefact.runtime}
