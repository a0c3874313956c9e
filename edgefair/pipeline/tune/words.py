"""What is said of a trial: why it was dropped, what the search found."""

import numpy as np

from edgefair.errors import listed
from edgefair.metrics.honest_choice import Honest, Objective, Scored

ONE_CLASS = 0.95


def collapse(scored: Scored, model: int, whole: bool, baseline: int = 0) -> str:
    """What a student does that the baseline does not: one class for (nearly) all rows, few classes, a class never.

    Few: e^H of the shares of predicted classes, H their entropy, under half of the baseline's. Never: a class that the
    baseline says at least half as often as it is true; only after `whole` trainings, for young students say little.
    Empty where it does not.
    """
    count = len(scored.rows.ids)
    shares, before = (np.bincount(scored.predicted[k], minlength=scored.num_classes) / count for k in (model, baseline))
    names, top = scored.rows.class_names, int(shares.argmax())
    if shares[top] >= ONE_CLASS > before.max():
        return f"collapsed: says {names[top]} of {100 * shares[top]:.0f} % of the rows"
    if _effective(shares) < 0.5 * _effective(before):
        return f"collapsed: keeps to {_effective(shares):.1f} classes, the plain twin to {_effective(before):.1f}"
    true = np.bincount(scored.rows.labels, minlength=scored.num_classes) / count
    never = [names[c] for c in np.flatnonzero((shares == 0) & (before > 0) & (before >= true / 2))]
    return f"collapsed: never says {listed(never, 3)}" if never and whole else ""


def _effective(shares: np.ndarray) -> float:
    """e^H, the number of equally frequent classes of the same entropy."""
    some = shares[shares > 0]
    return float(np.exp(-(some * np.log(some)).sum()))


def objective_in_words(objective: Objective) -> str:
    """What the search looks for."""
    if objective.kind == "tradeoff":
        return f"the largest accuracy - {objective.lam:g} * gap"
    return (
        f"the least gap at a loss of accuracy of at most {100 * objective.max_accuracy_loss:g} points beside the plain "
        "twin"
    )


def dropped(objective: Objective, scored: Scored, model: int, smaller: float, grace: float = 0.0) -> str:
    """Why a student that works was not gone on with; smaller: the share of halves where its gap is below the twin's."""
    accuracy = scored.accuracy()
    loss = accuracy[0] - accuracy[model]
    if objective.kind == "gap" and loss > objective.max_accuracy_loss + grace:
        return f"costs {100 * loss:.1f} points of accuracy"
    if smaller < 0.5:
        return "gap not smaller than the plain twin's"
    if smaller < 0.9:
        return "no effect on the gap beyond chance"
    return "helps, but another does more"


def finding(objective: Objective, honest: Honest, what: str, helped: bool) -> str:
    """The result of the search in one sentence; what: the best recipe in words, empty where it is the plain twin."""
    end = "The student is the plain twin."
    if not what:
        limit = " at the allowed loss of accuracy" if objective.kind == "gap" else ""
        return f"Nothing helped: nothing that was tried brings the groups closer than the plain twin{limit}. {end}"
    smaller = f"the groups lie closer together in {100 * honest.smaller:.0f} % of the halves of the validation rows"
    change = (
        f"on rows that it was not chosen by, the gap changes by {100 * honest.disparity:+.1f} points and accuracy by "
        f"{100 * honest.accuracy:+.1f} points"
    )
    if helped:
        return f"Chosen: {what}. Beside its plain twin, {smaller}; {change}."
    return f"Nothing helped: with the best that was tried ({what}) {smaller} (90 % are needed), and {change}. {end}"
