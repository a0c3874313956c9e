"""The report as a table for the terminal."""

from rich.console import Console
from rich.table import Table

COLOURS = {"pass": "green", "fail": "red", "inconclusive": "yellow"}


def print_report(report: dict, console: Console) -> None:
    """Print one row an artefact, what lambda meant, and every sentence of a verdict."""
    batch = str(report["recipe"]["bench"]["batches"][0])
    table = Table(
        title=f"edgefair: {report['data']['name']}, loss {report['recipe']['loss']['name']}", title_justify="left"
    )
    for name in (
        "artefact",
        "accuracy",
        "worst group",
        "disparity",
        "floor",
        "DEO max",
        f"p90 ms (batch {batch})",
        "MB",
        "verdict",
    ):
        table.add_column(
            name, justify="left" if name in ("artefact", "verdict") else "right", no_wrap=name == "artefact"
        )
    for entry in report["artefacts"]:
        if entry["artefact"] != "null":
            table.add_row(*_cells(entry, batch))
    console.print(table)
    console.print(
        "Disparity: mean over classes of the recall gap between groups, in points; floor: the same with groups dealt at random.",
        style="dim",
        soft_wrap=True,
    )
    null = next((e for e in report["artefacts"] if e["artefact"] == "null"), None)
    if null:
        console.print(f"The measuring itself takes {null['latency'][batch]['p90_ms']:.3f} ms (p90).", style="dim")
    console.print(f"lambda: {report['lambda']['meaning']}", soft_wrap=True, markup=False)
    for entry in report["artefacts"]:
        if "verdict" in entry:
            sentences = [entry["verdict"]["sentence"], *(limit["sentence"] for limit in entry["limits"])]
            console.print(f"[bold]{entry['artefact']}[/bold] against {entry['reference']}: ", end="", soft_wrap=True)
            console.print(" ".join(sentences), markup=False, soft_wrap=True)
    console.print(f"[bold {COLOURS[report['outcome']]}]{report['outcome'].upper()}[/]", end=" ")


def _cells(entry: dict, batch: str) -> list[str]:
    metrics = entry["metrics"]
    gap, worst = metrics["disparities"]["mean_abs_disparity"], metrics["disparities"]["deo_max"]
    outcome = entry.get("outcome", "")
    return [
        entry["artefact"],
        _percent(metrics["scores"]["accuracy"]["value"]),
        _percent(min((g["accuracy"] for g in metrics["groups"]), default=None)),
        _percent(gap["value"]),
        _percent(gap["floor"]),
        _percent(worst["value"]),
        f"{entry['latency'][batch]['p90_ms']:.2f}",
        f"{entry['bytes'] / 1e6:.2f}",
        f"[{COLOURS[outcome]}]{outcome}[/]" if outcome else "reference",
    ]


def _percent(value: float | None) -> str:
    return "undefined" if value is None or value != value else f"{100 * value:.1f}"
