"""Whether one model may be called "fairer" or "less fair" than another: only where a test supports the word."""

import numpy as np

from edgefair.metrics.comparison import align
from edgefair.metrics.gap_drift import worsening_bound
from edgefair.predictions import Predictions

LEVEL = 0.975  # each way, hence a two-sided 95 % statement


def fairness_claim(reference: Predictions, candidate: Predictions, replicates: int, rng: np.random.Generator) -> dict:
    """Compare mean absolute disparity on the same rows: {"word", "at_least_points", "sentence"}.

    "fairer" if the 97.5 % upper bound of disparity(candidate) - disparity(reference) (`worsening_bound`) is below
    zero, "less fair" if the same bound with both exchanged is, else "not shown to differ". It speaks of these two
    files, not of other seeds; `edgefair summarize` does.
    """
    pairs = align(reference, candidate), align(candidate, reference)
    if not pairs[0].compares_groups:
        text = "Nothing can be said about which is fairer: no groups are declared."
        return {"word": "not shown to differ", "at_least_points": None, "sentence": text}
    worse, better = (
        100 * worsening_bound(pair.counts, replicates, rng, LEVEL, identity=pair.by_identity) for pair in pairs
    )
    word, amount = ("fairer", -worse) if worse < 0 else ("less fair", -better) if better < 0 else (None, None)
    names = reference.about.get("artefact", "the reference"), candidate.about.get("artefact", "the candidate")
    whole = "" if pairs[0].people is None else ", whole people at a time"
    test = f"paired test on {pairs[0].counts.sum():,} rows resampled within group and class{whole}, two-sided 95 %"
    if word is None:
        text = f"{names[1]} is not shown to be fairer or less fair than {names[0]} ({test})."
    else:
        side = "smaller" if word == "fairer" else "larger"
        gap = f"its mean recall gap is {side} by at least {amount:.1f} points"
        text = f"{names[1]} is {word} than {names[0]}: {gap} ({test})."
    return {"word": word or "not shown to differ", "at_least_points": amount, "sentence": text}


NO_WORD = "not shown to differ"
