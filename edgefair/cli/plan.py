"""`edgefair plan`: what so many rows can show, before anyone collects them."""

from pathlib import Path

import click


@click.command("plan")
@click.option("--classes", "num_classes", type=int, required=True, help="Number of classes.")
@click.option("--groups", "num_groups", type=int, required=True, help="Number of protected groups.")
@click.option("--rows-per-cell", type=int, required=True, help="Gate rows of each (group, class) cell.")
@click.option(
    "--flip-rate",
    "flip_percents",
    type=float,
    multiple=True,
    metavar="PERCENT",
    help="Rows that only one of the two models gets right; repeatable.  [default: 0, 0.4, 2 and 5]",
)
@click.option("--tolerance", "tolerance_points", type=float, metavar="POINTS", help="Say the rows that this one needs.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the simulated tables.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the figures to a file too.")
def plan(num_classes, num_groups, rows_per_cell, flip_percents, tolerance_points, seed, json_file) -> None:
    """The smallest tolerance that the rows support, before anyone collects data.

    An engine that changed nothing for the worse passes a tolerance of the recall gaps' drift with 80 % power where it
    is at least as large as shown. Smaller ones end inconclusive: not enough rows to know.
    """
    from edgefair.files import write_json
    from edgefair.metrics.power import FLIP_PERCENTS
    from edgefair.metrics.power import plan as figures_of

    figures = figures_of(num_classes, num_groups, rows_per_cell, flip_percents or FLIP_PERCENTS, tolerance_points, seed)
    _show(figures)
    if json_file is not None:
        write_json(json_file, figures)


def _show(figures: dict) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    title = "{classes} classes, {groups} groups, {rows_per_cell:,} rows in each of {cells:,} cells"
    table = Table(box=SIMPLE_HEAD, title=title.format(**figures, cells=figures["classes"] * figures["groups"]))
    tolerance = figures["tolerance_points"]
    names = ["discordant rows %", "mean gap, points", "largest gap, points"]
    if tolerance is not None:
        names += [f"rows a cell for {tolerance:g} points: mean", "largest"]
    for name in names:
        table.add_column(name, justify="right")
    for row in figures["flip_rates"]:
        cells = [f"{row['flip_percent']:g}", f"{row['mean_points']:.1f}", f"{row['max_points']:.1f}"]
        if tolerance is not None:
            cells += [f"{row['rows_for_mean']:,}", f"{row['rows_for_max']:,}"]
        table.add_row(*cells)
    console = Console(highlight=False)
    console.print(table)
    power, confidence = (100 * figures[name] for name in ("power", "confidence"))
    console.print(
        "Smallest tolerance of how far the recall gaps between groups may move, that an engine which changed nothing "
        f"for the worse passes in {power:g} % of cases ({confidence:g} % upper bound).",
        soft_wrap=not console.is_terminal,
    )
