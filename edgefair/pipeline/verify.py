"""Judge candidates against one reference: a verdict each, the limits they were held to, and the worst outcome.

A candidate that cannot be judged (missing file, other rows, other classes) is an error, which is worse than a failure:
nothing was shown about it. A limit on latency or size without a measurement is inconclusive, never skipped.
"""

from datetime import datetime, timezone
from pathlib import Path

from edgefair.errors import EdgefairError, RecipeError
from edgefair.gate import Timing, Tolerance, judge_artefact
from edgefair.gate.claims import EQUIVALENCE, canonical_claim
from edgefair.gate.limits import Limits, diff, recipe_limits, with_flags
from edgefair.gate.verification import CandidateVerdict, Result, Source
from edgefair.latency.record import read_latency
from edgefair.latency.records import LatencyRecord
from edgefair.pipeline.references import candidate_names, reference_source
from edgefair.recipe import Recipe, parse, read
from edgefair.runtimes.machine import describe_machine


def verify(
    reference: str,
    candidates: list[str],
    flags: dict,
    recipe_file: Path | None = None,
    claim: str = EQUIVALENCE,
    latency_file: Path | None = None,
) -> Result:
    """Judge every candidate against the reference.

    reference, candidates: as users write them (`reference_source`, `candidate_names`). flags: limits by name, None if
    not given. recipe_file: its [gate] replaces that of the run folders' recipe. claim: as in `compare`. latency_file:
    what `edgefair bench` wrote, here or on a device; then a limit on latency is judged by it alone.
    Whatever differs from a run's own recipe is listed. Raises EdgefairError where the reference or a limit is wrong; a
    wrong candidate is an outcome "error" of its own.
    """
    claim, source = canonical_claim(claim), reference_source(reference)
    loaded = [one for text in candidates for one in _load_all(text)]
    runs = _recipes([source, *(one for one in loaded if isinstance(one, Source))])
    given = parse(read(recipe_file)) if recipe_file else next(iter(runs.values()), None)
    base = recipe_limits(given, claim) if given else Limits(claim, Tolerance())
    limits = with_flags(base, flags)
    external = _external_latency(latency_file, limits)
    judged = tuple(
        _judge(source, one, limits, given.seed if given else 0, external) if isinstance(one, Source) else one
        for one in loaded
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


def _load_all(text: str) -> list[Source | CandidateVerdict]:
    """The candidates that `text` stands for; what cannot be loaded is an outcome of its own."""
    try:
        names = candidate_names(text)
    except EdgefairError as error:
        return [CandidateVerdict(text, "error", str(error))]
    return [_load(name) for name in names]


def _load(name: str) -> Source | CandidateVerdict:
    try:
        return reference_source(name)
    except EdgefairError as error:
        return CandidateVerdict(name, "error", str(error))


def _recipes(sources: list[Source]) -> dict[str, Recipe]:
    """The recipes of the run folders among the sources, by run folder, the reference's first."""
    return {source.name.rpartition(":")[0]: source.recipe for source in sources if source.recipe}


def _changed(runs: dict[str, Recipe], limits: Limits) -> list[str]:
    lines = []
    for folder, recipe in runs.items():
        different = diff(recipe_limits(recipe, limits.claim), limits)
        if different:
            lines.append(
                f"tolerances changed after the run {folder}: {', '.join(different)}; "
                f"recipe hash {recipe.hash[:12]}, tolerances hash {limits.hash[:12]}"
            )
    return lines


def _external_latency(latency_file: Path | None, limits: Limits) -> LatencyRecord | None:
    if latency_file is None:
        return None
    if limits.max_latency_p90_ms is None:
        raise RecipeError(f"{latency_file} was given, but no limit on latency is set; add --max-latency-p90-ms.")
    return read_latency(latency_file)


def _judge(
    reference: Source, candidate: Source, limits: Limits, seed: int, external: LatencyRecord | None
) -> CandidateVerdict:
    try:
        judgement = judge_artefact(
            reference.predictions,
            candidate.predictions,
            limits,
            timing=_own_timing(candidate) if external is None else _external_timing(candidate, external),
            seed=seed,
        )
    except EdgefairError as error:
        return CandidateVerdict(candidate.name, "error", str(error), source=candidate)
    numbers = judgement.verdict.numbers
    return CandidateVerdict(candidate.name, judgement.outcome, judgement.sentence, judgement.checks, candidate, numbers)


def _own_timing(candidate: Source) -> Timing:
    """What the candidate's run measured; an engine for one batch size is timed at no other."""
    only = next(iter(candidate.latency)) if len(candidate.latency) == 1 else None
    return Timing(candidate.latency, candidate.control, only or _first_batch(candidate))


def _external_timing(candidate: Source, record: LatencyRecord) -> Timing:
    """What a latency file says of the file whose hash is the candidate's; no rows where it has none."""
    name, control = record.of_file(candidate.predictions.about.get("sha256")), record.controls()
    if not name:
        return Timing({}, control, _first_batch(candidate), "in the latency file")
    batch = str(record.files[name].batch or _first_batch(candidate))
    return Timing(record.rows(name), control, batch, f"on {record.machine.get('processor')}")


def _first_batch(candidate: Source) -> str:
    return str(candidate.recipe.bench.batches[0] if candidate.recipe else 1)
