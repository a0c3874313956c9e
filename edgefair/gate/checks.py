"""The single checks of the gate, each a function of one reference and one candidate on the same rows.

A check fails on what is observed: no statistics are needed to refuse. It passes on an upper bound at the tolerance's
confidence, so that "passes" speaks of images like these and not of these rows only. Otherwise it is inconclusive.
All checks must pass, each at full confidence: a verdict of "all of them hold" needs no correction for their number.
"""

import math
from dataclasses import dataclass

import numpy as np

from edgefair.errors import listed
from edgefair.gate.claims import EQUIVALENCE
from edgefair.gate.tolerance import Tolerance
from edgefair.metrics import deo_max, mean_abs_disparity
from edgefair.metrics.comparison import Pair
from edgefair.metrics.gap_drift import gap_drift, gap_drift_bound, worsening_bound
from edgefair.metrics.intervals import paired_change_interval, wilson
from edgefair.metrics.power import minimum_tolerance
from edgefair.seeds import generator

_LIMITS = {"points": "limit {:g}", "percent": "limit {:g} %", "ratio": "at least {:g} is needed"}
_VERBS = {"pass": "passes", "fail": "fails", "inconclusive": "inconclusive"}


@dataclass(frozen=True)
class Check:
    """One condition of a verdict; value, bound and limit are in `unit`, NaN where undefined."""

    name: str
    value: float  # observed
    bound: float  # upper bound that must be within the limit to pass; equal to value where the fact itself is judged
    limit: float  # largest allowed value, or for "collapse" the smallest; NaN where not gated
    unit: str  # "points", "percent" or "ratio"
    outcome: str  # "pass", "fail" or "inconclusive"
    sentence: str
    gated: bool = True  # False: reported only, the verdict does not depend on it


def accuracy_check(pair: Pair, tolerance: Tolerance) -> Check:
    """Drop of accuracy over all rows, unknown groups included; the bound is Tango's score bound of the paired drop."""
    value, bound = _drop_points(*pair.change(), tolerance.confidence)
    limit = tolerance.accuracy_drop_points
    return _check("accuracy_drop", value, bound, limit, "points", tolerance, _change("accuracy", value))


def worst_group_check(pair: Pair, tolerance: Tolerance) -> Check:
    """Largest drop of any group's accuracy, which is at least the drop of the worst group's accuracy.

    The bound is the largest of the groups' own bounds: if some group truly lost more than the limit, its own bound
    says so, thus no correction for the number of groups is due.
    """
    drops = [_drop_points(*pair.change(pair.groups == group), tolerance.confidence) for group in range(pair.shape[1])]
    limit = tolerance.worst_group_drop_points
    value, bound, worst, empty = _worst_group(drops, pair.group_names)
    fact = "no row has a group" if math.isnan(value) else _change(f"accuracy of group {worst}", value)
    return _check("worst_group_drop", value, bound, limit, "points", tolerance, fact, _no_rows(empty))


def mean_drift_check(pair: Pair, tolerance: Tolerance, claim: str, rng: np.random.Generator) -> Check:
    """Worsening of `mean_abs_disparity`; bounded by the mean gap drift, or for "no_worse" by the better of two bounds.

    pair, tolerance: what is compared, and what is allowed. claim: a word of `CLAIMS`. rng: of the resampled bounds. The
    two bounds of "no_worse" each take half of the error probability, so their minimum keeps the confidence.
    """
    if not pair.compares_groups:
        return _no_groups("mean_drift", tolerance.mean_drift_points, tolerance)
    value = 100 * float(mean_abs_disparity(pair.tables[1]) - mean_abs_disparity(pair.tables[0]))
    if claim == EQUIVALENCE:
        bound = _drift_bounds(pair, tolerance, rng, tolerance.confidence)[0]
    else:
        level = (1 + tolerance.confidence) / 2
        moved = _drift_bounds(pair, tolerance, rng, level)[0]
        bound = min(moved, worsening_bound(pair.counts, tolerance.replicates, rng, level, identity=pair.by_identity))
    fact = f"the mean recall gap between groups changed by {value:+.2f} points"
    if claim == EQUIVALENCE and not pair.missing:
        drift = 100 * gap_drift(pair.counts)  # [C], points
        most = f", most in {pair.class_names[int(drift.argmax())]} ({drift.max():.2f})" if drift.max() else ""
        moved_by = f"moved by {drift.mean():.2f} points on average over {pair.shape[0]} classes{most}"
        fact = f"the recall gaps between groups {moved_by}, their mean changed by {value:+.2f} points"
    return _drift_check("mean_drift", fact, value, 100 * bound, tolerance.mean_drift_points, pair, tolerance)


def max_drift_check(pair: Pair, tolerance: Tolerance, claim: str, rng: np.random.Generator) -> Check:
    """Worsening of `deo_max`, bounded by the largest gap drift of any class; gated where asked for or where rows allow.

    pair, tolerance, claim, rng: as for `mean_drift_check`. Whether rows allow it is decided from the sizes of the cells
    alone, never from what the candidate did.
    """
    if not pair.compares_groups:
        return _no_groups("max_drift", tolerance.max_drift_points, tolerance)
    value = 100 * float(deo_max(pair.tables[1]) - deo_max(pair.tables[0]))
    bound = 100 * _drift_bounds(pair, tolerance, rng, tolerance.confidence)[1]
    limit, why = tolerance.max_drift_points, ""
    if limit is None:
        limit, why = _supported_limit(pair, tolerance, claim)
    fact = f"the largest recall gap between groups of any class changed by {value:+.2f} points"
    return _drift_check("max_drift", fact, value, bound, limit, pair, tolerance, why)


def _supported_limit(pair: Pair, tolerance: Tolerance, claim: str) -> tuple[float | None, str]:
    wanted = tolerance.supported_max_drift_points
    if wanted is None or claim != EQUIVALENCE or pair.missing:
        return None, "no tolerance is set for it"
    sizes = pair.counts.sum(axis=-1)
    if pair.num_identities is not None:  # as if all images of a person flipped together
        sizes = np.maximum(1, sizes * pair.num_identities // len(pair.labels))
    # One discordant row of twenty is what the hardest INT8 models show; the seed only draws tables.
    points = minimum_tolerance(sizes, 5.0, generator(0, "gate", "support"), runs=100, replicates=200).max_points
    return (wanted, "") if points <= wanted else (None, f"these rows can support {points:.1f} points, not {wanted:g}")


def flip_check(pair: Pair, tolerance: Tolerance, claim: str) -> Check:
    """Share of rows whose predicted class differs, with Wilson's upper bound; gated for the claim "same" only."""
    value, bound = _flip_percent(*pair.flips(), tolerance.confidence)
    fact = f"{value:.2f} % of the predictions differ from the reference's"
    return _flip_check("flip_rate", value, bound, tolerance, claim, fact)


def group_flip_check(pair: Pair, tolerance: Tolerance, claim: str) -> Check:
    """The largest share of changed predictions of any group: flips in one group alone hide in the overall rate."""
    rates = [_flip_percent(*pair.flips(pair.groups == group), tolerance.confidence) for group in range(pair.shape[1])]
    value, bound, worst, empty = _worst_group(rates, pair.group_names)
    fact = f"{value:.2f} % of the predictions of {worst} differ, the most of any group"
    fact = "no row has a group" if math.isnan(value) else fact
    return _flip_check("group_flip_rate", value, bound, tolerance, claim, fact, _no_rows(empty))


def collapse_check(pair: Pair, tolerance: Tolerance) -> Check:
    """Whether the candidate still predicts all classes, for one that predicts a single class has no disparity at all.

    Fails if it predicts one class where labels have more, if the entropy of its predicted classes is under
    `min_entropy_ratio` of the reference's, or if it predicts a class that occurs, and that the reference predicts
    `min_cell` times or more, less than `min_class_ratio` as often (both groups at recall 0 have a gap of 0, and one
    class of many costs little accuracy).
    """
    num_classes = pair.shape[0]
    labels, before, after = (
        np.bincount(ids, minlength=num_classes) for ids in (pair.labels, pair.pred_ref, pair.pred_cand)
    )  # [C] each
    was, now = _entropy(before), _entropy(after)
    ratio = now / was if was > 0 else math.nan
    remaining = after / np.maximum(before, 1)  # [C]
    lost = np.flatnonzero((labels > 0) & (before >= tolerance.min_cell) & (remaining < tolerance.min_class_ratio))
    share = after.max() / after.sum()
    fact = f"the most frequent prediction, {pair.class_names[after.argmax()]}, makes up {100 * share:.1f} % of the rows"
    if was > 0:
        fact += f" and the entropy of the predicted classes is {ratio:.2f} of the reference's"
    else:
        fact += ", and the reference predicts a single class too, so that their variety cannot be compared"
    more = ""
    for never, what in ((True, "never predicted any more"), (False, "hardly predicted any more")):
        names = [
            f"{pair.class_names[label]} ({after[label]:,} times, the reference {before[label]:,})"
            for label in lost
            if (after[label] == 0) == never
        ]
        more += f"; {what}: {listed(names)}, at least {tolerance.min_class_ratio:g} of it is needed" if names else ""
    single = (after > 0).sum() == 1 and (labels > 0).sum() > 1
    narrow = single or ratio < tolerance.min_entropy_ratio
    outcome = "fail" if narrow or len(lost) else "pass"
    if len(lost) and not narrow:
        more += " (this decides; the entropy is high enough)"
    limit = tolerance.min_entropy_ratio
    text = sentence_of(outcome, fact, [_LIMITS["ratio"].format(limit)], more)
    return Check("collapse", ratio, ratio, limit, "ratio", outcome, text)


def outcome_of(value: float, bound: float, limit: float) -> str:
    """fail if the value is above the limit, pass if the bound is within it, else (or if undefined) inconclusive."""
    slack = 1e-9  # a drop of exactly one point must not fail a limit of one point by its last bit
    if value > limit + slack:
        return "fail"
    return "pass" if not math.isnan(value) and bound <= limit + slack else "inconclusive"


def sentence_of(outcome: str, fact: str, brackets: list[str], more: str = "") -> str:
    """A check in words.

    outcome: "" where it is not gated. fact: what was observed. brackets: bound and limit, "" is left out. more: what
    else a reader must know, with its own separator.
    """
    inside = ", ".join(part for part in brackets if part)
    return f"{_VERBS.get(outcome, 'reported, not gated')}: {fact}{f' ({inside})' if inside else ''}{more}."


def _drift_check(
    name: str,
    fact: str,
    value: float,
    bound: float,
    limit: float | None,
    pair: Pair,
    tolerance: Tolerance,
    why: str = "",
) -> Check:
    """A check of a gap's drift. No limit: it is reported only, and `why` says why."""
    if math.isnan(bound):
        reason = f"there are no rows of {listed(pair.missing)}" if pair.missing else "a cell shows too few people"
        what = "the recall gap between groups is undefined" if math.isnan(value) else f"{fact}, without an upper bound"
        fact = f"{what}, because {reason}"
    if limit is None:
        return _reported(name, value, bound, "points", "pass", tolerance, fact, f"; {why}")
    more = ""
    if outcome_of(value, bound, limit) == "inconclusive" and limit > 0 and bound > limit:
        rows = float(np.median(pair.counts.sum(axis=-1))) * (bound / limit) ** 2
        more = f"; about {float(f'{rows:.2g}'):,.0f} rows per group and class would be needed at these rates"
    return _check(name, value, bound, limit, "points", tolerance, fact, more)


def _no_groups(name: str, limit: float | None, tolerance: Tolerance) -> Check:
    fact = "no groups are declared, so there is no recall gap and fairness cannot be judged"
    if limit is None:
        return _reported(name, math.nan, math.nan, "points", "inconclusive", tolerance, fact)
    return _check(name, math.nan, math.nan, limit, "points", tolerance, fact)


def _drift_bounds(pair: Pair, tolerance: Tolerance, rng: np.random.Generator, level: float) -> tuple[float, float]:
    return gap_drift_bound(pair.counts, tolerance.replicates, rng, level, identity=pair.by_identity)


def _flip_check(
    name: str, value: float, bound: float, tolerance: Tolerance, claim: str, fact: str, more: str = ""
) -> Check:
    limit = tolerance.flip_rate_percent
    if claim != EQUIVALENCE or limit is None:
        return _reported(name, value, bound, "percent", "pass", tolerance, fact, more)
    return _check(name, value, bound, limit, "percent", tolerance, fact, more)


def _worst_group(rates: list[tuple[float, float]], names: tuple[str, ...]) -> tuple[float, float, str, list[str]]:
    """Largest value of any group, largest bound (NaN if a group has no rows), that group, and groups without rows."""
    empty = [name for name, (value, _) in zip(names, rates, strict=True) if math.isnan(value)]
    if len(empty) == len(names):
        return math.nan, math.nan, "", empty
    value, worst = max((value, name) for (value, _), name in zip(rates, names, strict=True) if value == value)
    return value, math.nan if empty else max(bound for _, bound in rates), worst, empty


def _check(
    name: str, value: float, bound: float, limit: float, unit: str, tolerance: Tolerance, fact: str, more: str = ""
) -> Check:
    outcome = outcome_of(value, bound, limit)
    text = sentence_of(outcome, fact, [_bound(bound, tolerance, unit), _LIMITS[unit].format(limit)], more)
    return Check(name, value, bound, limit, unit, outcome, text)


def _reported(
    name: str, value: float, bound: float, unit: str, outcome: str, tolerance: Tolerance, fact: str, more: str = ""
) -> Check:
    """A check that the verdict does not depend on."""
    text = sentence_of("", fact, [_bound(bound, tolerance, unit)], more)
    return Check(name, value, bound, math.nan, unit, outcome, text, gated=False)


def _drop_points(lost: int, won: int, rows: int, effect: float, confidence: float) -> tuple[float, float]:
    low = paired_change_interval(lost / effect, won / effect, rows / effect, 2 * confidence - 1)[0]
    return (100 * (lost - won) / rows if rows else math.nan), -100 * low


def _flip_percent(flips: int, rows: int, effect: float, confidence: float) -> tuple[float, float]:
    bound = float(wilson(flips / effect, rows / effect, 2 * confidence - 1)[1])
    return (100 * flips / rows if rows else math.nan), 100 * bound


def _bound(bound: float, tolerance: Tolerance, unit: str) -> str:
    if math.isnan(bound):
        return ""
    return f"{100 * tolerance.confidence:g} % upper bound {bound:.2f}{' %' if unit == 'percent' else ''}"


def _change(what: str, drop_points: float) -> str:
    if drop_points == 0:
        return f"{what} did not change"
    return f"{what} {'fell' if drop_points > 0 else 'rose'} by {abs(drop_points):.2f} points"


def _no_rows(empty: list[str]) -> str:
    return f"; no rows of {listed(empty)}" if empty else ""


def _entropy(counts: np.ndarray) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum()) + 0.0
