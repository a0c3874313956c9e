"""Outcomes and checks as readers meet them: one colour and mark an outcome, one set of names a check."""

from typing import NamedTuple


class OutcomeLook(NamedTuple):
    """How an outcome is shown; the mark says it where there is no colour."""

    colour: str  # of the terminal
    mark: str


OUTCOMES = {
    "error": OutcomeLook("red", "!"),
    "fail": OutcomeLook("red", "✗"),
    "inconclusive": OutcomeLook("yellow", "?"),
    "pass": OutcomeLook("green", "✓"),
}
"""The worst first."""


class CheckName(NamedTuple):
    """What a check is called."""

    short: str  # in a table of the terminal
    plain: str  # inside a sentence for somebody who is no engineer
    heading: str  # in the table of the report


CHECKS = {
    "accuracy_drop": CheckName("loss of accuracy", "loss of accuracy", "Loss of accuracy"),
    "worst_group_drop": CheckName(
        "loss in the worst group", "loss of accuracy in one group", "Loss of accuracy of the group that lost most"
    ),
    "mean_drift": CheckName(
        "mean recall gap",
        "change of the gap between groups",
        "Change of the mean recall gap; bound of how far the gaps moved",
    ),
    "max_drift": CheckName(
        "largest recall gap",
        "change of the largest gap of any class",
        "Change of the largest recall gap; bound of how far any gap moved",
    ),
    "flip_rate": CheckName(
        "changed predictions", "share of changed predictions", "Predictions that differ from the reference"
    ),
    "group_flip_rate": CheckName(
        "changes in a group",
        "share of changed predictions of a group",
        "The same, for the group where most differ",
    ),
    "collapse": CheckName(
        "variety of predictions", "variety of the predictions", "Collapse guard: variety of the predicted classes"
    ),
    "latency_p90_ms": CheckName("p90 latency", "latency, 90th percentile", "Latency, 90th percentile"),
    "size_mb": CheckName("file size", "file size", "File size"),
}


def check_name(name: str) -> CheckName:
    """The names of a check; one without words of its own goes by the name of its field."""
    words = name.replace("_", " ")
    return CHECKS.get(name) or CheckName(words, words, words.capitalize())
