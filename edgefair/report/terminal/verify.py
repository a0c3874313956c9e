"""Verdicts in the terminal: for each candidate the outcome, what was shown and what was not, and every check."""

import math

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgefair.gate.verification import CandidateVerdict, Result
from edgefair.report.terminal.tables import line, plain_table

COLOURS = {"pass": "green", "fail": "red", "inconclusive": "yellow", "error": "red"}
SCOPE = (
    "A verdict speaks of change beside the reference, on images like these, of this file on this runtime and machine. "
    "It does not say that the reference is fair."
)
MARKS = {"pass": "✓", "fail": "✗", "inconclusive": "?", "error": "!"}
WORDS = {
    "accuracy_drop": "loss of accuracy",
    "worst_group_drop": "loss in the worst group",
    "mean_drift": "mean recall gap",
    "max_drift": "largest recall gap",
    "flip_rate": "changed predictions",
    "group_flip_rate": "flips in a group",
    "collapse": "variety of predictions",
    "latency_p90_ms": "p90 latency",
    "size_mb": "file size",
}
UNITS = {"points": "points", "percent": "%", "ratio": "", "ms": "ms", "MB": "MB"}


def print_result(result: Result, console: Console) -> None:
    """Print one block a candidate, then the limits with their hash, and the outcome of all in the last line."""
    for one in result.judged:
        _print_one(one, result, console)
    line(console, SCOPE, style="dim")
    line(console, _limits(result), style="dim")
    for text in result.changes:
        line(console, f"! {text}", style="bold yellow")
    counts = [(word, sum(one.outcome == word for one in result.judged)) for word in ("error", *list(COLOURS)[1:3])]
    passed = sum(one.outcome == "pass" for one in result.judged)
    said = ", ".join([f"{passed} of {len(result.judged)} passed", *(f"{n} {word}" for word, n in counts if n)])
    line(console, Text.assemble((result.outcome.upper(), f"bold {COLOURS[result.outcome]}"), f": {said}"))


def _print_one(one: CandidateVerdict, result: Result, console: Console) -> None:
    colour = COLOURS[one.outcome]
    line(console, Text.assemble((one.outcome.upper(), f"bold {colour}"), "  ", (one.name, "bold")))
    if one.source:
        line(console, f"  {one.source.title()}", style="dim")
    line(console, f"  beside {result.reference.name} ({result.reference.title()})", style="dim")
    if one.outcome == "error":
        line(console, f"  {one.sentence}")
        console.print()
        return
    for text in _decided(one):
        line(console, text)
    console.print(_table(one, f"{100 * result.limits.tolerance.confidence:g} % bound"))
    line(console, one.sentence)
    console.print()


def _decided(one: CandidateVerdict) -> list[str]:
    """One line on what decided the outcome."""
    deciding = [WORDS.get(c.name, c.name) for c in one.checks if c.gated and c.outcome == one.outcome]
    if one.outcome == "pass":
        return ["  all checks hold"]
    return [f"  decided by: {', '.join(deciding)}"]


def _table(one: CandidateVerdict, bound: str) -> Table:
    table = plain_table(("  check",), ("observed", bound, "allowed"), ("", "outcome"))
    for check in one.checks:
        outcome = check.outcome if check.gated else "not gated"
        mark = MARKS[check.outcome] if check.gated else "·"
        style = COLOURS[check.outcome] if check.gated else "dim"
        table.add_row(
            Text(f"{mark} {WORDS.get(check.name, check.name)}"),
            _number(check.value),
            "" if check.bound == check.value else _number(check.bound),
            _allowed(check),
            UNITS.get(check.unit, check.unit),
            Text(outcome, style=style),
        )
    return table


def _allowed(check) -> str:
    if math.isnan(check.limit):
        return ""
    return f"{'≥' if check.name == 'collapse' else '≤'} {check.limit:g}"


def _limits(result: Result) -> str:
    values = result.limits.to_dict()
    origin = f"recipe {result.recipe_sha256[:12]}" if result.recipe_sha256 else "no recipe fixed them before the run"
    return f"claim: {values['claim'].replace('_', ' ')}; tolerances {result.limits.hash[:12]} ({origin})"


def _number(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.2f}"
