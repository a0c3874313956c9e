"""The report as a table for the terminal."""

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgefair.errors import listed
from edgefair.report.outcomes import OUTCOMES, check_name
from edgefair.report.terminal.tables import outcome_text

LEFT = ("artefact", "verdict")
COLUMNS = ("artefact", "accuracy", "worst", "disparity", "(floor)", "DEO max", "p90 ms", "MB", "verdict")


def print_report(report: dict, console: Console) -> None:
    """Print one row an artefact, what lambda meant, every verdict with what decided it, and what remains."""
    batch = str(report["recipe"]["bench"]["batches"][0])
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=0)
    narrow = console.width < 60 + max(len(entry["artefact"]) for entry in report["artefacts"]) + len("inconclusive")
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in LEFT else "right", no_wrap=True)
    for entry in report["artefacts"]:
        if entry["artefact"] != "null":
            table.add_row(*_cells(entry, batch, narrow))
    console.print(table)
    wrap = {"soft_wrap": not console.is_terminal}  # whole lines for a file, whole words for a person
    for line in _legend(report, batch):
        console.print(Text(line, style="dim"), **wrap)
    for entry in report["artefacts"]:
        if "verdict" in entry:
            _print_verdict(entry, console, wrap)
    for one in report["unverified"]:
        title = Text.assemble(
            "\n", (one["artefact"], "bold"), ": ", ("NOT VERIFIED ON A DEVICE", OUTCOMES["inconclusive"].colour)
        )
        console.print(title)
        size = f"{one['bytes'] / 1e6:.2f} MB"
        console.print(Text(f"  ? built ({one['file']}, {size}), never counted as passed: {one['reason']}"), **wrap)
    console.print()
    for line in (report["remaining"], *(f"Warning: {warning}" for warning in report["warnings"])):
        console.print(Text(line), **wrap)
    if report["outcome"] == "inconclusive":
        console.print(Text(_UNSURE), **wrap)
    console.print(outcome_text(report["outcome"]))


_UNSURE = (
    "No tolerance was broken, but not everything could be shown to be kept, see the lines with ?. More gate rows "
    "decide it (edgefair plan says how many a tolerance takes), or a device that can run the file. Exit code 3."
)


def _print_verdict(entry: dict, console: Console, wrap: dict) -> None:
    """The outcome, then each check that did not pass and the drift of the gaps, a line each; the rest by name."""
    verdict = entry["verdict"]
    title = Text.assemble("\n", (entry["artefact"], "bold"), f" against {entry['reference']}: ")
    console.print(title.append(entry["outcome"].upper(), style=OUTCOMES[entry["outcome"]].colour))
    gated = [check for check in verdict["checks"] if check["gated"]]
    shown = [check for check in gated + entry["limits"] if check["outcome"] != "pass" or check["name"] == "mean_drift"]
    for check in sorted(shown, key=lambda check: list(OUTCOMES).index(check["outcome"])):
        look = OUTCOMES[check["outcome"]]
        console.print(Text.assemble("  ", (look.mark, look.colour), " ", check["sentence"]), **wrap)
    rest = [check_name(check["name"]).short for check in gated + entry["limits"] if check not in shown]
    if rest:
        console.print(Text(f"  {OUTCOMES['pass'].mark} {', '.join(rest)}: within tolerance", style="dim"), **wrap)
    if verdict["numbers"]["small_cells"]:
        cells = verdict["numbers"]["small_cells"]
        start = "? no class has two groups with enough rows: " if verdict["numbers"]["covers_no_gap"] else ""
        console.print(Text(f"  {start}says nothing about {listed(cells, 6)}: too few rows (gate.min_cell)"), **wrap)


def _legend(report: dict, batch: str) -> list[str]:
    null = next((entry for entry in report["artefacts"] if entry["artefact"] == "null"), None)
    own = f" The measuring itself takes {max(null['latency'][batch]['p90_ms'], 0.001):.3f} ms or less." if null else ""
    return [
        "Accuracy, also of the worst group, in percent. Disparity: recall gap between groups, mean over classes, in "
        "points; floor: the same with the groups dealt at random. DEO max: the gap of the worst class. "
        f"p90 ms: latency of a batch of {batch} on {report['recipe']['bench']['threads']} thread(s).{own}",
        *(f"{name}: {meaning}." for name, meaning in _other_latencies(report)),
        f"lambda: {report['lambda']['meaning']}",
    ]


def _other_latencies(report: dict) -> list[tuple[str, str]]:
    """Artefacts whose measured time is not what their precision would take, such as INT8 that is simulated."""
    meanings = [(entry["artefact"], entry.get("latency_meaning", "as run")) for entry in report["artefacts"]]
    return [(name, meaning) for name, meaning in meanings if meaning != "as run"]


def _cells(entry: dict, batch: str, narrow: bool) -> list[str]:
    metrics = entry["metrics"]
    gap, worst = metrics["disparities"]["mean_abs_disparity"], metrics["disparities"]["deo_max"]
    outcome, row = entry.get("outcome", ""), _timing(entry, batch)
    return [
        entry["artefact"],
        _percent(metrics["scores"]["accuracy"]["value"]),
        _percent(float(np.min([group["accuracy"] for group in metrics["groups"]]))),  # undefined if one is
        _percent(gap["value"]),
        f"({_percent(gap['floor'])})",
        _percent(worst["value"]),
        f"{row['p90_ms']:.2f}" if row else "-",
        f"{entry['bytes'] / 1e6:.2f}",
        f"[{OUTCOMES[outcome].colour}]{OUTCOMES[outcome].mark if narrow else outcome}[/]" if outcome else "-",
    ]


def _timing(entry: dict, batch: str) -> dict:
    """The row of that batch size, or of the only one that an engine takes."""
    rows = entry["latency"]
    return next(iter(rows.values())) if len(rows) == 1 else rows.get(batch, {})


def _percent(value: float | None) -> str:
    return "undefined" if value is None or value != value else f"{100 * value:.1f}"
