"""The trade in the terminal: what each variant keeps in float, weighs, takes, and does to the groups."""

from rich.console import Console
from rich.text import Text

from edgefair.export.mixed_precision.sensitivity import Sensitivity, error_drops
from edgefair.report.outcomes import OUTCOMES, check_name
from edgefair.report.terminal.tables import line, outcome_text, plain_table

MOST_UNITS = 8


def print_trade(report: dict, console: Console) -> None:
    """Print the ranking's first units, then a row for each variant, then what decides."""
    _ranking(report, console)
    names = ("float ops", "MB", "p50 ms", "acc %", "worst %", "gap", "floor", "flips %", "worst")
    table = plain_table(("variant",), names, ("verdict",))
    for row in report["variants"]:
        table.add_row(
            row["name"],
            "all" if row["kept"] is None else str(len(row["kept"])),
            f"{row['bytes'] / 1e6:.2f}",
            f"{row['latency']['p50_ms']:.2f}" if row["latency"] else "-",
            *(_percent(row[name]) for name in ("accuracy", "worst_group", "disparity", "noise_floor")),
            *(_percent(row[name]) for name in ("flips", "flips_worst_group")),
            Text(row["outcome"], style=OUTCOMES[row["outcome"]].colour),
        )
    console.print(table)
    for row in report["variants"]:
        if row["kept"]:
            line(console, f"{row['name']} keeps in float: {', '.join(row['kept'])}")
    _conclusion(report, console)


def _ranking(report: dict, console: Console) -> None:
    before = Sensitivity(**report["before"])
    errors = ", ".join(f"{n} {_short(e)}" for n, e in zip(report["group_names"], before.errors, strict=True))
    line(console, f"Squared margin error of all-INT8 on {report['ranking_rows']:,} ranking rows: {errors}")
    cost, rank = report["costs"][report["cost"]], report["rank"]
    unit, scale = ("ms", 1.0) if report["cost"] == "latency" else ("kB", 1e-3)
    drops = error_drops(before, [Sensitivity(**one) for one in report["sensitivities"]], rank)
    table = plain_table(("operator",), (f"error less ({rank})", f"cost, {unit}"))
    for name in sorted(drops, key=lambda name: -drops[name])[:MOST_UNITS]:
        table.add_row(name, _short(drops[name]), f"{cost[name] * scale:.3g}")
    console.print(table)
    console.print()


def _conclusion(report: dict, console: Console) -> None:
    for name, choice in report["choices"].items():
        violations = [f"{check_name(c['name']).short} {_two_places(c['value'])}" for c in choice["over_without"]]
        if violations and name == "group-aware":
            line(console, f"All in INT8, over half of a tolerance on the ranking rows: {', '.join(violations)}.")
        if report["until_fair"] and not choice["holds"]:
            line(console, f"{name}: on the ranking rows some tolerance does not hold with {len(choice['kept'])} kept.")
    if report["simulated"]:
        line(
            console,
            f"Not verified on a device: ONNX Runtime computed what the files say. {report['simulated']}",
            style="bold yellow",
        )
    best = next(row for row in report["variants"] if row["name"] == report["best"])
    line(console, " ".join([best["verdict"]["sentence"], *(limit["sentence"] for limit in best["limits"])]))
    line(console, Text.assemble(outcome_text(report["outcome"]), f": {report['best']}"))
    line(console, f"files: {report['folder']}")


def _two_places(value: float | None) -> str:
    return "undefined" if value is None or value != value else f"{value:.2f}"


def _percent(share: float | None) -> str:
    return "-" if share is None or share != share else f"{100 * share:.2f}"


def _short(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.3g}"
