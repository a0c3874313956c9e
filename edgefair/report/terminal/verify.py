"""Verdicts in the terminal: for each candidate the outcome, what was shown and what was not, and every check."""

import math
from collections import Counter

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgefair.gate.verification import CandidateVerdict, Result
from edgefair.report.outcomes import OUTCOMES, check_name
from edgefair.report.terminal.tables import line, outcome_text, plain_table

SCOPE = (
    "A verdict speaks of change beside the reference, on images like these, of this file on this runtime and machine. "
    "It does not say that the reference is fair."
)
UNITS = {"points": "points", "percent": "%", "ratio": "", "ms": "ms", "MB": "MB"}


def print_result(result: Result, console: Console) -> None:
    """Print one block a candidate, then the limits with their hash, and the outcome of all in the last line."""
    for one in result.judged:
        _print_one(one, result, console)
    line(console, SCOPE, style="dim")
    line(console, _limits(result), style="dim")
    for text in result.changes:
        line(console, f"! {text}", style="bold yellow")
    counts = Counter(one.outcome for one in result.judged)
    others = [f"{counts[word]} {word}" for word in OUTCOMES if word != "pass" and counts[word]]
    summary = ", ".join([f"{counts['pass']} of {len(result.judged)} passed", *others])
    line(console, Text.assemble(outcome_text(result.outcome), f": {summary}"))


def _print_one(one: CandidateVerdict, result: Result, console: Console) -> None:
    line(console, Text.assemble(outcome_text(one.outcome), "  ", (one.name, "bold")))
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
    deciding = [check_name(c.name).short for c in one.checks if c.gated and c.outcome == one.outcome]
    if one.outcome == "pass":
        return ["  all checks hold"]
    return [f"  decided by: {', '.join(deciding)}"]


def _table(one: CandidateVerdict, bound: str) -> Table:
    table = plain_table(("  check",), ("observed", bound, "allowed"), ("", "outcome"))
    for check in one.checks:
        outcome = check.outcome if check.gated else "not gated"
        style, mark = OUTCOMES[check.outcome] if check.gated else ("dim", "·")
        table.add_row(
            Text(f"{mark} {check_name(check.name).short}"),
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
