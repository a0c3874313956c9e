"""`edgefair frontier`: what a sweep bought, accuracy against disparity, as a page and as tables for a paper."""

import math
from pathlib import Path

import click

FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
DEFAULT = "0.5,1,2"


@click.command()
@click.argument("sweep", nargs=-1, required=True, type=FOLDER)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the files go.  [default: SWEEP/frontier; frontier where several folders or a run are given]",
)
@click.option("--artefact", default="student", show_default=True, help="What is judged, such as ort-cpu-int8.")
@click.option(
    "--lambda-line",
    "lines",
    default=DEFAULT,
    show_default=True,
    metavar="LAMBDAS",
    help="Worth of a point of disparity in points of accuracy: the lines A - lambda * D, with commas between.",
)
def frontier(sweep: tuple[Path, ...], out: Path | None, artefact: str, lines: str) -> None:
    """Show the finished runs in SWEEP, folders of run folders at any depth, as accuracy against disparity.

    Runs that differ in their seed alone are one point, with its t-interval over seeds. Writes frontier.html, which
    needs no network, frontier.json, and tables as CSV and LaTeX. Exit code 0, or 2 where there is nothing to show.
    """
    from edgefair.files import finite
    from edgefair.pipeline.frontier.build import build_frontier
    from edgefair.report.frontier.terminal import print_frontier
    from edgefair.report.frontier.write import write_frontier
    from edgefair.report.terminal.tables import plain_console

    found = finite(build_frontier(list(sweep), artefact, _weights(lines)))
    is_run = any((sweep[0] / name).exists() for name in ("recipe.toml", "report.json"))
    folder = out or (Path("frontier") if len(sweep) > 1 or is_run else sweep[0] / "frontier")
    files = write_frontier(found, folder)
    print_frontier(found, files, plain_console())


def _weights(text: str) -> list[float]:
    """The lambdas of the lines, each once; raises BadParameter for anything but numbers from 0 up."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = [math.nan]
    if not all(0 <= value < math.inf for value in values):
        raise click.BadParameter(
            f"'{text}' is no list of numbers from 0 up with commas between; give such as {DEFAULT}.",
            param_hint="--lambda-line",
        )
    return list(dict.fromkeys(values))
