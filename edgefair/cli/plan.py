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
@click.option(
    "--tolerance",
    "tolerance_points",
    type=float,
    metavar="POINTS",
    help="Also print the rows that this tolerance needs.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the simulated tables.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the figures to a file too.")
def plan(
    num_classes: int,
    num_groups: int,
    rows_per_cell: int,
    flip_percents: tuple[float, ...],
    tolerance_points: float | None,
    seed: int,
    json_file: Path | None,
) -> None:
    """The smallest tolerance that the rows support, before anyone collects data.

    A power analysis: an engine that made nothing worse passes a tolerance of the recall gaps' drift with 80 % power if
    the tolerance is at least as large as shown. Smaller ones end inconclusive: not enough rows to know.
    """
    from edgefair.files import write_json
    from edgefair.metrics.power import FLIP_PERCENTS
    from edgefair.metrics.power import plan as figures_of
    from edgefair.report.terminal.power import print_power

    figures = figures_of(num_classes, num_groups, rows_per_cell, flip_percents or FLIP_PERCENTS, tolerance_points, seed)
    print_power(figures)
    if json_file is not None:
        write_json(json_file, figures)
