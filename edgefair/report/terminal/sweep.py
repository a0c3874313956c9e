"""The cells of a sweep as a table for the terminal."""

from typing import Any

from rich.console import Console
from rich.text import Text

from edgefair.report.terminal.tables import line, outcome_text, plain_table

WORDS = {"refused": "refused", "begun": "not finished", "new": "not begun"}


def print_sweep(rows: list[dict[str, Any]], console: Console) -> None:
    """Print one row a cell: its settings, the outcome, accuracy and mean gap of its student beside the noise floor."""
    settings = tuple(rows[0]["settings"]) if rows else ()
    table = plain_table(("cell", *settings), ("accuracy", "gap", "(floor)"), ("outcome",))
    table.padding = (0, 1)
    for row in rows:
        shown = (_shown(row["settings"][name]) for name in settings)
        numbers = (_percent(row.get(name)) for name in ("accuracy", "gap", "floor"))
        finished = row["state"] == "finished"
        outcome = outcome_text(row["outcome"]) if finished else Text(WORDS[row["state"]])
        table.add_row(str(row["number"]), *shown, *numbers, outcome)
    console.print(table)
    line(console, "accuracy: percent of the gate rows, of the student; gap: mean absolute disparity, points.", "dim")
    for row in rows:
        if "reason" in row:
            line(console, f"{row['name']} (cell {row['number']}) was refused: {row['reason']}")


def _shown(value: Any) -> str:
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _percent(rate: float | None) -> str:
    return "" if rate is None else f"{100 * rate:.1f}"
