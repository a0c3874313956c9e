"""Judge candidates against one reference: a verdict each, the limits they were held to, and the worst outcome.

A candidate that cannot be judged (missing file, other rows, other classes) is an error, which is worse than a failure:
nothing was shown about it. A limit on latency or size without a measurement is inconclusive, never skipped.
"""

from datetime import datetime, timezone
from pathlib import Path

from edgefair.errors import EdgefairError, RecipeError
from edgefair.gate import Tolerance, compare
from edgefair.gate.checks import Check
from edgefair.gate.limits import Limits, changes, recipe_limits, with_flags
from edgefair.gate.resource_checks import latency_check, size_check
from edgefair.gate.verdict import worst
from edgefair.gate.verification import Judged, Result, Source
from edgefair.latency import record as latency
from edgefair.pipeline.references import candidate_names, reference_source
from edgefair.recipe import Recipe, parse, read
from edgefair.runtimes.machine import describe_machine


def verify(
    reference: str,
    candidates: list[str],
    flags: dict,
    recipe_file: Path | None = None,
    claim: str = "same",
    latency_file: Path | None = None,
) -> Result:
    """Judge every candidate against the reference.

    Limits come from the run folders' recipe, replaced by the [gate] of `recipe_file` where one is given, then by
    `flags`; whatever differs from a run's own recipe is listed. latency_file: what `edgefair bench` wrote, here or on a
    device; then a limit on latency is judged by it alone. Raises EdgefairError where the reference or a limit is
    wrong; a wrong candidate is an outcome "error" of its own.
    """
    source = reference_source(reference)
    found = [one for text in candidates for one in _find(text)]
    runs = _recipes([source, *(one for one in found if isinstance(one, Source))])
    given = parse(read(recipe_file)) if recipe_file else next(iter(runs.values()), None)
    base = recipe_limits(given, claim) if given else Limits(claim, Tolerance())
    limits = with_flags(base, flags)
    elsewhere = _elsewhere(latency_file, limits)
    judged = tuple(
        _judge(source, one, limits, given.seed if given else 0, elsewhere) if isinstance(one, Source) else one
        for one in found
    )
    return Result(
        reference=source,
        limits=limits,
        judged=judged,
        changes=tuple(_changed(runs, limits)),
        recipe_sha256=given.hash if given else None,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        machine=describe_machine(),
    )


def _find(text: str) -> list[Source | Judged]:
    """The candidates that `text` stands for; what cannot be loaded is an outcome of its own."""
    try:
        names = candidate_names(text)
    except EdgefairError as error:
        return [Judged(text, "error", str(error))]
    return [_load(name) for name in names]


def _load(name: str) -> Source | Judged:
    try:
        return reference_source(name)
    except EdgefairError as error:
        return Judged(name, "error", str(error))


def _recipes(sources: list[Source]) -> dict[str, Recipe]:
    """The recipes of the run folders among the sources, by run folder, the reference's first."""
    return {source.name.rpartition(":")[0]: source.recipe for source in sources if source.recipe}


def _changed(runs: dict[str, Recipe], limits: Limits) -> list[str]:
    lines = []
    for folder, recipe in runs.items():
        different = changes(recipe_limits(recipe, limits.claim), limits)
        if different:
            lines.append(
                f"tolerances changed after the run {folder}: {', '.join(different)}; "
                f"recipe hash {recipe.hash[:12]}, tolerances hash {limits.hash[:12]}"
            )
    return lines


def _elsewhere(latency_file: Path | None, limits: Limits) -> dict | None:
    if latency_file is None:
        return None
    if limits.max_latency_p90_ms is None:
        raise RecipeError(f"{latency_file} was given, but no limit on latency is set; add --max-latency-p90-ms.")
    return latency.read(latency_file)


def _judge(reference: Source, candidate: Source, limits: Limits, seed: int, elsewhere: dict | None) -> Judged:
    try:
        verdict = compare(reference.predictions, candidate.predictions, limits.tolerance, claim=limits.claim, seed=seed)
    except EdgefairError as error:
        return Judged(candidate.name, "error", str(error), source=candidate)
    extra = [check for check in (_latency(candidate, limits, elsewhere), _size(candidate, limits)) if check]
    outcome = worst([verdict.outcome, *(check.outcome for check in extra)])
    sentence = verdict.sentence if outcome == verdict.outcome else _prefixed(outcome, verdict.sentence)
    sentence = " ".join([sentence, *(f"{c.sentence[0].upper()}{c.sentence[1:]}" for c in extra)])
    return Judged(candidate.name, outcome, sentence, (*verdict.checks, *extra), candidate, verdict.numbers)


def _prefixed(outcome: str, sentence: str) -> str:
    """The verdict's sentence under the outcome that latency and size leave."""
    return f"{outcome.upper()}.{sentence.partition('.')[2]}"


def _latency(candidate: Source, limits: Limits, elsewhere: dict | None) -> Check | None:
    """The run's own timing, or that of a latency file: the one whose file has the candidate's hash."""
    if limits.max_latency_p90_ms is None:
        return None
    rows, control, where = candidate.latency, candidate.control, ""
    only = int(next(iter(rows))) if len(rows) == 1 else 0  # the size that an engine is for; it is timed at no other
    if elsewhere is not None:
        name, rows = latency.of_file(elsewhere, candidate.predictions.about.get("sha256"))
        control = elsewhere["control"]
        where = f"on {elsewhere['machine'].get('processor')}" if name else "in the latency file"
        only = elsewhere["files"][name]["batch"] if name else 0
    batch = str(only or (candidate.recipe.bench.batches[0] if candidate.recipe else 1))
    quiet = control.get(batch, {}).get("quiet")
    return latency_check(rows.get(batch, {}), batch, limits.max_latency_p90_ms, quiet, where)


def _size(candidate: Source, limits: Limits) -> Check | None:
    if limits.max_size_mb is None:
        return None
    return size_check(candidate.predictions.about.get("bytes"), limits.max_size_mb)
