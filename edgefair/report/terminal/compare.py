"""What `compare` found, for the terminal and as CSV."""

import csv
import io
import math
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.text import Text

from edgefair.files import write_bytes
from edgefair.gate.verification import Source
from edgefair.report.terminal.tables import line, plain_table

COLUMNS = ("id", "label", "group", "a", "b", "change", "margin", "margin_b")
MOST_ROWS, MOST_PAIRS = 20, 10
NARROW = 80


def write_csv(flips: list[dict], path: Path) -> None:
    """Every flipped example, one a line, the most decided of A first."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**flip, **{name: f"{flip[name]:.6f}" for name in ("margin", "margin_b")}} for flip in flips)
    write_bytes(path, text.getvalue().encode())


def print_differences(differences: dict, sources: tuple[Source, Source], top: int, console: Console) -> None:
    """The two in a line each, then all rows, groups, cells, pairs of classes, and the `top` most decided flips."""
    for letter, source in zip("AB", sources, strict=True):
        line(console, Text.assemble((f"{letter} ", "bold"), f"{source.name}  ", (source.title(), "dim")))
    _overall(differences, console)
    console.print()
    _table_of("group", differences["groups"], console)
    _changed("class", differences["classes"], console)
    _changed("group class", differences["cells"], console)
    _pairs(differences, console)
    _flips(differences["flips"], top, console)


def _overall(differences: dict, console: Console) -> None:
    total, gaps = differences["accuracy"], differences["recall_gap_points"]
    accuracies = f"{_percent(total['accuracy_a'])} -> {_percent(total['accuracy_b'])} %"
    line(
        console,
        f"\n{differences['rows']:,} rows. Accuracy {accuracies}: "
        f"{total['lost']:,} rows lost, {total['won']:,} won, change {_points(total)} points (95 % interval, Tango). "
        f"{total['flips']:,} predictions changed: {100 * total['flip_rate']:.2f} % "
        f"({_percent(total['flip_interval'][0], 2)} to {_percent(total['flip_interval'][1], 2)} %, Wilson).",
    )
    line(
        console,
        f"Recall gap between groups: mean over classes {_number(gaps[0]['mean'])} -> {_number(gaps[1]['mean'])} "
        f"points, largest {_number(gaps[0]['max'])} -> {_number(gaps[1]['max'])}.",
    )
    line(console, mcnemar_sentence(total["mcnemar_midp"], total["lost"] + total["won"]), style="dim")


def mcnemar_sentence(p: float, discordant: int) -> str:
    """McNemar's test in words: what a small and a large p show, and what neither shows."""
    if not discordant:
        return "McNemar's test: no row changed between right and wrong."
    finding = "accuracy changed" if p < 0.05 else "no change is shown, which does not show that nothing changed"
    return (
        f"McNemar's test (mid-p {p:.2g}): {finding}. It compares losses with wins over all rows, so one group "
        "gaining what another loses stays unseen; edgefair verify judges that."
    )


def _table_of(kind: str, rows: list[dict], console: Console) -> None:
    names = tuple(kind.split())
    narrow = console.is_terminal and console.width < NARROW  # the interval is what can be left out; JSON has it
    change = "change" if narrow else "change (95 %)"
    table = plain_table(names, ("rows", "A %", "B %", "lost", "won", change, "flips"))
    for row in rows:
        table.add_row(
            *(Text(row[name]) for name in names),
            f"{row['rows']:,}",
            _percent(row["accuracy_a"]),
            _percent(row["accuracy_b"]),
            str(row["lost"]),
            str(row["won"]),
            _points(row, interval=not narrow),
            str(row["flips"]),
        )
    console.print(table)
    console.print()


def _changed(kind: str, rows: list[dict], console: Console) -> None:
    """The classes or cells with most flips; A % and B % are recalls here."""
    changed = sorted((row for row in rows if row["flips"]), key=lambda row: -row["flips"])
    plural = "classes" if kind == "class" else "cells of group and class"
    if not changed:
        line(console, f"None of the {len(rows)} {plural} has a changed prediction.")
        return
    which = f"{len(changed)} of {len(rows)} {plural} have changed predictions"
    most = f", the {MOST_ROWS} with most of them" if len(changed) > MOST_ROWS else ""
    line(console, f"{which}{most}; each row is looked at alone:")
    _table_of(kind, changed[:MOST_ROWS], console)


def _pairs(differences: dict, console: Console) -> None:
    """Where A and B disagree, class by class; where they agree, the diagonal, is counted apart."""
    table, names = np.array(differences["disagreement"]), differences["class_names"]
    agreed = int(np.trace(table))
    np.fill_diagonal(table, 0)
    pairs = [(int(table[i, j]), names[i], names[j]) for i, j in np.argwhere(table)]
    pairs.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
    line(console, f"A and B give the same class to {agreed:,} rows.")
    if pairs:
        shown = ", ".join(f"{a} -> {b} {count}" for count, a, b in pairs[:MOST_PAIRS])
        more = f" and {len(pairs) - MOST_PAIRS} other pairs" if len(pairs) > MOST_PAIRS else ""
        line(console, f"Where they differ (A -> B, rows): {shown}{more}.")


def _flips(flips: list[dict], top: int, console: Console) -> None:
    if not flips or not top:
        return
    count = f"the {top} of {len(flips):,}" if len(flips) > top else f"all {len(flips)}"
    line(
        console,
        f"\nFlipped examples, {count} that A was surest of; margin: probability of the own class less that of the "
        "other's.",
    )
    table = plain_table(("id", "label", "group", "A says", "B says"), ("margin A", "margin B"), ("",))
    for flip in flips[:top]:
        table.add_row(
            *(Text(flip[name]) for name in ("id", "label", "group", "a", "b")),
            f"{flip['margin']:.3f}",
            f"{flip['margin_b']:.3f}",
            Text(flip["change"], style={"lost": "red", "won": "green"}.get(flip["change"], "dim")),
        )
    console.print(table)


def _points(row: dict, interval: bool = True) -> str:
    if math.isnan(row["change_points"]):
        return "undefined"
    if not interval:
        return f"{row['change_points']:+.2f}"
    low, high = row["change_interval_points"]
    return f"{row['change_points']:+.2f} ({low:+.2f} to {high:+.2f})"


def _percent(value: float, digits: int = 1) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.{digits}f}"


def _number(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.2f}"
