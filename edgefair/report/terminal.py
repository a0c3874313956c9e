"""The report as a table for the terminal."""

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

COLOURS = {"pass": "green", "fail": "red", "inconclusive": "yellow"}
LEFT = ("artefact", "verdict")
COLUMNS = ("artefact", "accuracy", "worst", "disparity", "(floor)", "DEO max", "p90 ms", "MB", "verdict")


def print_report(report: dict, console: Console) -> None:
    """Print one row an artefact, what lambda meant, and every sentence of a verdict."""
    batch = str(report["recipe"]["bench"]["batches"][0])
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=0)
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in LEFT else "right", no_wrap=True)
    for entry in report["artefacts"]:
        if entry["artefact"] != "null":
            table.add_row(*_cells(entry, batch))
    console.print(table)
    wrap = {"soft_wrap": not console.is_terminal}  # whole lines for a file, whole words for a person
    for line in _legend(report, batch):
        console.print(Text(line, style="dim"), **wrap)
    for entry in report["artefacts"]:
        if "verdict" in entry:
            sentences = [entry["verdict"]["sentence"], *(limit["sentence"] for limit in entry["limits"])]
            title = (entry["artefact"], "bold"), f" against {entry['reference']}: "
            console.print()
            console.print(Text.assemble(*title, " ".join(sentences)), **wrap)
    console.print(f"\n[bold {COLOURS[report['outcome']]}]{report['outcome'].upper()}[/]", end=" ")


def _legend(report: dict, batch: str) -> list[str]:
    null = next((entry for entry in report["artefacts"] if entry["artefact"] == "null"), None)
    own = f" The measuring itself takes {null['latency'][batch]['p90_ms']:.3f} ms." if null else ""
    return [
        "Accuracy, also of the worst group, in percent. Disparity: recall gap between groups, mean over classes, in "
        "points; floor: the same with the groups dealt at random. DEO max: the gap of the worst class. "
        f"p90 ms: latency of a batch of {batch} on {report['recipe']['bench']['threads']} thread(s).{own}",
        f"lambda: {report['lambda']['meaning']}",
    ]


def _cells(entry: dict, batch: str) -> list[str]:
    metrics = entry["metrics"]
    gap, worst = metrics["disparities"]["mean_abs_disparity"], metrics["disparities"]["deo_max"]
    outcome = entry.get("outcome", "")
    return [
        entry["artefact"],
        _percent(metrics["scores"]["accuracy"]["value"]),
        _percent(float(np.min([group["accuracy"] for group in metrics["groups"]]))),  # undefined if one is
        _percent(gap["value"]),
        f"({_percent(gap['floor'])})",
        _percent(worst["value"]),
        f"{entry['latency'][batch]['p90_ms']:.2f}",
        f"{entry['bytes'] / 1e6:.2f}",
        f"[{COLOURS[outcome]}]{outcome}[/]" if outcome else "-",
    ]


def _percent(value: float | None) -> str:
    return "undefined" if value is None or value != value else f"{100 * value:.1f}"
