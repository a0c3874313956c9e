"""`edgefair bench`: time artefacts beside each other."""

import sys
from pathlib import Path

import click

SCENARIOS = ("single-stream", "offline")


def _counts(_context, option, text: str | None) -> tuple[int, ...]:
    """A list such as 1,8,32 as whole numbers; cores may be 0."""
    lowest = 0 if option.name == "cores" else 1
    try:
        values = tuple(int(part) for part in (text or "").split(",") if part)
    except ValueError:
        values = (lowest - 1,)
    if text is not None and (not values or min(values) < lowest):
        raise click.BadParameter(f"'{text}' is no list of whole numbers from {lowest}, such as 1,8,32.")
    return tuple(dict.fromkeys(values))


@click.command()
@click.argument("artefacts", nargs=-1, required=True, metavar="ARTEFACT...")
@click.option("--runtime", "runtimes", multiple=True, help="What runs the files: one for all, or one each; repeatable.")
@click.option("--scenario", type=click.Choice(SCENARIOS), default=SCENARIOS[0], show_default=True)
@click.option("--batches", default="1", show_default=True, callback=_counts, help="Batch sizes, such as 1,8,32.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Threads of each runtime.")
@click.option("--cores", callback=_counts, help="Bind the process to these cores, such as 0 or 0,1.")
@click.option("--queries", type=click.IntRange(min=1), help="Least number of calls (offline: images) of each artefact.")
@click.option("--seconds", type=click.FloatRange(min=0), help="Least time of each artefact and batch size.")
@click.option("--mlperf", is_flag=True, help="MLPerf's full minimum: 600 s; offline also 24,576 images.")
@click.option("--rounds", type=click.IntRange(min=5), default=16, show_default=True, help="Rounds of the interleaving.")
@click.option("--warmup", type=click.IntRange(min=1), default=10, show_default=True, help="Calls before the clock.")
@click.option("--images", type=click.Path(path_type=Path), help="Folder of JPEG or PNG files; else random pixels.")
@click.option("--include-preprocess", is_flag=True, help="Time decoding and resizing of --images too.")
@click.option("--size", type=click.IntRange(min=1), help="Side of the images where the file does not say.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of order, pixels and intervals.")
@click.option("--probe/--no-probe", default=True, help="Load time and memory, in a fresh process each.")
@click.option("--max-p90-ms", type=click.FloatRange(min=0, min_open=True), help="Limit of the 90th percentile.")
@click.option("--min-speedup", type=click.FloatRange(min=0, min_open=True), help="Least speed beside the first.")
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path), help="Write the latency file, for verify --latency."
)
def bench(artefacts, runtimes, scenario, batches, cores, json_file, max_p90_ms, min_speedup, **options) -> None:
    """Time every ARTEFACT on its runtime, interleaved, and compare each with the first.

    ARTEFACT is a file (with --runtime), a run folder (all it ships that runs here), one artefact of it
    (RUN:NAME, such as runs/x:ort-cpu-int8), or a folder with a manifest.json. Limits apply to the first
    batch size; a machine too noisy to compare makes them inconclusive.

    Exit codes: 0 pass or no limit, 1 fail, 2 wrong input, 3 inconclusive.
    """
    from edgefair.errors import EXIT
    from edgefair.gate.verdict import worst
    from edgefair.latency.clocks import pin
    from edgefair.latency.record import write_latency
    from edgefair.log import Log
    from edgefair.pipeline.bench.inputs import bench_artefacts
    from edgefair.pipeline.bench.limits import judge_bench
    from edgefair.pipeline.bench.run import run_bench
    from edgefair.report.terminal.latency import show
    from edgefair.report.terminal.tables import plain_console

    log = Log()
    plan = _plan(scenario, batches, max_p90_ms, options)
    if json_file:
        json_file.unlink(missing_ok=True)  # an earlier call's must not stand beside an error of this one
    if cores:
        pin(cores)
    record = run_bench(bench_artefacts(list(artefacts), list(runtimes), log), plan, log)
    record["checks"] = judge_bench(record, batches[0], max_p90_ms, min_speedup)
    outcomes = [check["outcome"] for check in record["checks"]]
    record["outcome"] = worst(outcomes) if outcomes else None
    if json_file:
        write_latency(json_file, record)
    show(record, record["checks"], plain_console())
    sys.exit(EXIT[record["outcome"]] if outcomes else 0)


def _plan(scenario: str, batches: tuple[int, ...], max_p90_ms: float | None, options: dict):
    from edgefair.errors import RecipeError
    from edgefair.latency.rules import MLPERF, SHORT, Rules
    from edgefair.pipeline.bench.run import Plan

    if options["include_preprocess"] and not options["images"]:
        raise RecipeError("--include-preprocess times the decoding of real files; name their folder with --images.")
    if scenario == "offline" and max_p90_ms is not None:
        raise RecipeError("--max-p90-ms is a limit of single-stream; offline is about throughput, see --min-speedup.")
    mlperf, queries, seconds = (options.pop(name) for name in ("mlperf", "queries", "seconds"))
    minimum = (MLPERF if mlperf else SHORT)[scenario]
    if mlperf and (queries is not None or seconds is not None):
        raise RecipeError("--mlperf fixes --queries and --seconds; leave them out, or leave --mlperf out.")
    rules = Rules(
        scenario,
        minimum[0] if queries is None else queries,
        minimum[1] if seconds is None else seconds,
        options.pop("rounds"),
        options.pop("warmup"),
    )
    return Plan(rules, batches, **options)
