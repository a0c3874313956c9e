"""Whether one artefact is good enough: the verdict on accuracy and fairness, latency and size, and the worst of them.

This is the only place where an outcome is decided: the main job, `edgefair verify`, `edgefair quantize` and the tests
of exported engines all ask here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgefair.gate.checks import Check
from edgefair.gate.limits import Limits
from edgefair.gate.resource_checks import latency_check, size_check
from edgefair.gate.verdict import Verdict, compare_pair, verdict_sentence, worst
from edgefair.metrics.comparison import Pair, align
from edgefair.metrics.noise_floor import NoiseFloor
from edgefair.predictions import Predictions


@dataclass(frozen=True)
class Timing:
    """What was measured of an artefact's latency, and the batch size that a limit on it applies to."""

    # Both by batch size as text: percentiles, and whether the machine was quiet.
    rows: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    control: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    batch: str = "1"
    where: str = ""  # what it was measured on, in words

    def check(self, limit_ms: float) -> Check:
        """The p90 of that batch size against a limit; inconclusive where it was not measured."""
        quiet = self.control.get(self.batch, {}).get("quiet")
        return latency_check(self.rows.get(self.batch, {}), self.batch, limit_ms, quiet, self.where)


NOT_TIMED = Timing()


@dataclass(frozen=True)
class Judgement:
    """The outcome of one artefact, with everything that it rests on."""

    outcome: str  # "pass", "fail" or "inconclusive": the worst of the verdict and of all extra checks
    sentence: str  # in words, under that outcome
    verdict: Verdict  # on accuracy and fairness
    extra: tuple[Check, ...]  # latency and size, where limits on them are set
    pair: Pair  # both sides on the same rows, for whoever counts more of them

    @property
    def checks(self) -> tuple[Check, ...]:
        """All checks, those of the verdict first."""
        return (*self.verdict.checks, *self.extra)


def judge_artefact(
    reference: Predictions,
    candidate: Predictions,
    limits: Limits,
    *,
    timing: Timing = NOT_TIMED,
    seed: int = 0,
    floors: tuple[NoiseFloor | None, NoiseFloor | None] = (None, None),
) -> Judgement:
    """Judge a candidate against its reference on the same examples, and against the limits on latency and size.

    limits: the claim, the tolerances, and the limits on latency and size, of which one that is None is not judged.
    timing: the candidate's latency. seed: of the resampled bounds and noise floors. floors: the noise floors of
    reference and candidate where they are drawn already (`compare_pair`). The size is what the candidate's `about`
    says. Raises DataError where the two are not of the same rows (`align`).
    """
    pair = align(reference, candidate)
    verdict = compare_pair(pair, limits.tolerance, claim=limits.claim, seed=seed, floors=floors)
    extra = []
    if limits.max_latency_p90_ms is not None:
        extra.append(timing.check(limits.max_latency_p90_ms))
    if limits.max_size_mb is not None:
        extra.append(size_check(candidate.about.get("bytes"), limits.max_size_mb))
    outcome = worst([verdict.outcome, *(check.outcome for check in extra)])
    sentence = verdict_sentence(outcome, verdict.checks, verdict.numbers, pair)
    sentence = " ".join([sentence, *(check.sentence[0].upper() + check.sentence[1:] for check in extra)])
    return Judgement(outcome, sentence, verdict, tuple(extra), pair)
