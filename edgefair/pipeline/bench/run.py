"""`edgefair bench`: load, measure, probe, write down, judge."""

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from edgefair.errors import RecipeError
from edgefair.files import sha256
from edgefair.latency import record as latency
from edgefair.latency.clocks import clocks
from edgefair.latency.energy import find_meter
from edgefair.latency.measure import Design, Loaded, batch_sizes, measure
from edgefair.latency.probe import probe
from edgefair.latency.queries import Queries, folder_queries, random_queries
from edgefair.latency.rules import Rules
from edgefair.latency.speedup import Noise
from edgefair.pipeline.bench.inputs import Entrant
from edgefair.runtimes import Runtime, load_runtime
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


def run_bench(found: list[Entrant], plan: Plan, log) -> dict:
    """Measure all entrants interleaved and return the record of a latency file; the first is what others are beside.

    The first is loaded twice: what it differs from itself is the machine's noise. A runtime that computes nothing is
    measured among them: what it takes is the harness's.
    """
    with ExitStack() as stack:
        runtimes = {one.name: load_runtime(one.runtime, one.path, plan.threads) for one in found}
        queries = _queries(list(runtimes.values()), plan)
        loaded = {one.name: _loaded(one, runtimes[one.name]) for one in found}
        first = found[0]
        again = _loaded(first, load_runtime(first.runtime, first.path, plan.threads))
        if NULL not in {one.runtime for one in found}:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            (folder / "null.txt").write_text(str(runtimes[first.name].num_classes))
            loaded[NULL] = Loaded(load_runtime(NULL, folder / "null.txt"), timed=False)
        against = {one.name: first.name for one in found[1:]}
        design = Design(plan.rules, against, (first.name, again), plan.seed, plan.noise)
        meter = find_meter({one.runtime for one in found})
        batches = batch_sizes(loaded, plan.batches)
        rounds = len(batches) * plan.rules.rounds * (len(loaded) + 1)
        before = clocks()
        with log.progress("measuring", rounds) as advance:
            timings = measure(loaded, queries.call_of, batches, design, advance=advance, meter=meter)
    files = {one.name: _file(one, loaded[one.name], queries, plan) for one in found}
    return {**header(plan.rules, plan.threads, queries, before, meter.name), "files": files, **timings}


def _loaded(one: Entrant, runtime: Runtime) -> Loaded:
    """An engine without a manifest's word says itself whether it takes one batch size only."""
    return Loaded(runtime, one.batch or getattr(runtime, "batch", 0), one.runtime != NULL)


def header(rules: Rules, threads: int, queries: Queries, at: dict, energy: str) -> dict:
    """What a latency file says of the whole measurement."""
    return {
        "schema": latency.SCHEMA,
        "kind": latency.KIND,
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
    sizes = {size for runtime in runtimes if (size := getattr(runtime, "size", None))}
    sizes |= {plan.size} if plan.size else set()
    if len(sizes) != 1:
        said = f"are for images of {sorted(sizes)} pixels a side" if sizes else "do not say how large their images are"
        raise RecipeError(f"these artefacts {said}; give one size with --size, and files that take it.")
    (size,) = sizes
    if plan.images is None:
        return random_queries(size, plan.seed)
    return folder_queries(plan.images, size, plan.include_preprocess)


def _file(one: Entrant, loaded: Loaded, queries: Queries, plan: Plan) -> dict:
    """What is known of a file beside its times."""
    about = file_facts(one.path, sha256(one.path), one.runtime, one.precision, loaded)
    if not plan.probe:
        return about
    batch, size = loaded.batch or plan.batches[0], queries.images.shape[-1]
    return about | {"load": "a fresh process"} | probe(one.runtime, one.path, plan.threads, batch, size)


def file_facts(path: Path, digest: str, runtime: str, precision: str, loaded: Loaded) -> dict:
    """What identifies a file and what ran it."""
    about = {"sha256": digest, "bytes": path.stat().st_size, "precision": precision, "batch": loaded.batch}
    return about | loaded.runtime.describe() | {"runtime": runtime}
