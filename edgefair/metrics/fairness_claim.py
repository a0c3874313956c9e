"""Whether one model may be called "fairer" or "less fair" than another: only where a test supports the word."""

from typing import TypedDict

import numpy as np

from edgefair.metrics.comparison import Pair
from edgefair.metrics.gap_drift import worsening_bound

NO_WORD = "not shown to differ"
LEVEL = 0.975  # each way, hence a two-sided 95 % statement


class FairnessClaim(TypedDict):
    """What may be said of a candidate beside its reference."""

    word: str  # "fairer", "less fair" or NO_WORD
    at_least_points: float | None  # by how much the mean recall gap differs; None without a word
    sentence: str


def fairness_claim(pair: Pair, replicates: int, rng: np.random.Generator) -> FairnessClaim:
    """Compare mean absolute disparity of both sides of a pair.

    "fairer" if the 97.5 % upper bound of disparity(candidate) - disparity(reference) (`worsening_bound`) is below
    zero, "less fair" if the same bound with both exchanged is, else "not shown to differ". It speaks of these two
    files, not of other seeds; `edgefair summarize` does.
    """
    if not pair.compares_groups:
        text = "Which of the two is fairer cannot be judged: no groups are declared."
        return {"word": NO_WORD, "at_least_points": None, "sentence": text}
    worse, better = (
        100 * worsening_bound(each.counts, replicates, rng, LEVEL, identity=each.by_identity)
        for each in (pair, pair.exchanged())
    )
    word, amount = ("fairer", -worse) if worse < 0 else ("less fair", -better) if better < 0 else (None, None)
    names = pair.reference.about.get("artefact", "the reference"), pair.candidate.about.get("artefact", "the candidate")
    together = "" if pair.num_identities is None else ", all rows of an identity together"
    test = f"paired test on {pair.counts.sum():,} rows resampled within group and class{together}, two-sided 95 %"
    if word is None:
        text = f"{names[1]} is not shown to be fairer or less fair than {names[0]} ({test})."
    else:
        side = "smaller" if word == "fairer" else "larger"
        gap = f"its mean recall gap is {side} by at least {amount:.1f} points"
        text = f"{names[1]} is {word} than {names[0]}: {gap} ({test})."
    return {"word": word or NO_WORD, "at_least_points": amount, "sentence": text}
