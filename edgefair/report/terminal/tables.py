"""Tables and lines for the terminal: names to the left, numbers to the right, unbroken lines into a file."""

import os

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgefair.report.outcomes import OUTCOMES

PIPED_WIDTH = 120


def plain_console() -> Console:
    """Standard output; into a file or pipe as wide as the tables need, unless COLUMNS says otherwise."""
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PIPED_WIDTH
    return console


def plain_table(left: tuple[str, ...], right: tuple[str, ...] = (), after: tuple[str, ...] = ()) -> Table:
    """A table of names (which fold where it is narrow), then numbers, then words."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 0))
    for name in left:
        table.add_column(name, overflow="fold", min_width=min(8, max(len(name), 5)))
    for name in right:
        table.add_column(name, justify="right", no_wrap=True)
    for name in after:
        table.add_column(name, no_wrap=True)
    return table


def outcome_text(outcome: str) -> Text:
    """An outcome in capitals and its colour."""
    return Text(outcome.upper(), style=f"bold {OUTCOMES[outcome].colour}")


def line(console: Console, text: str | Text, style: str = "") -> None:
    """A line that a person gets wrapped at words and a file gets whole."""
    console.print(Text(text, style=style) if isinstance(text, str) else text, soft_wrap=not console.is_terminal)
