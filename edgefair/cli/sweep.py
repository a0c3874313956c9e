"""`edgefair sweep`: a grid of recipes, each cell a run folder, on this machine or a cluster."""

import sys
from pathlib import Path

import click

PATH = click.Path(path_type=Path)
BROKEN = 70  # as sysexits.h has it: an error of the software


@click.command()
@click.argument("grid_file", metavar="GRID.toml", type=PATH)
@click.option("--out", type=PATH, help="Folder of the sweep.  [default: sweeps/NAME, named after the grid's file]")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Cells that run at a time.  [default: one a core, or as many as fit the GPUs; all on a cluster]",
)
@click.option("--address", help="Ray cluster: auto, HOST:PORT or ray://HOST:PORT.  [default: this machine alone]")
@click.option(
    "--gpus-per-run",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="Part of a GPU that a cell takes where device is cuda: 0.25 lets four share one.",
)
@click.option(
    "--attempts",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="How often a cell is tried whose process is killed or breaks.",
)
@click.option("--retry-refused", is_flag=True, help="Try cells again that were refused for a setting or their data.")
@click.option("--dry-run", is_flag=True, help="List the cells and what is there of them; run nothing.")
@click.option("--cell", metavar="NUMBER|NAME", help="Run this cell alone, in this process: for arrays of jobs.")
@click.option("--end-with-parent", is_flag=True, hidden=True)
def sweep(
    grid_file: Path,
    out: Path | None,
    workers: int | None,
    address: str | None,
    gpus_per_run: float,
    attempts: int,
    retry_refused: bool,
    dry_run: bool,
    cell: str | None,
    end_with_parent: bool,
) -> None:
    """Run every cell of GRID.toml that is not finished, and print one row a cell.

    Start the same command again after anything: what is finished stays, what was begun goes on. Exit code 0 if every
    cell is finished, whatever its verdict; 1 if some were given up; 2 if some were refused. With --cell, those of
    distill-and-export, and 70 where the process broke.
    """
    from edgefair.log import Log
    from edgefair.pipeline.sweep.folder import SweepFolder
    from edgefair.pipeline.sweep.grid import read_grid

    log = Log()
    folder = SweepFolder(out or Path("sweeps") / grid_file.stem, read_grid(grid_file))
    if cell is not None:
        _run_cell(folder, cell, log, retry_refused, end_with_parent)
    from edgefair.pipeline.sweep.run import describe, run_sweep
    from edgefair.report.terminal.sweep import print_sweep
    from edgefair.report.terminal.tables import plain_console

    given_up: dict[str, str] = {}
    if dry_run:
        log.line(describe(folder, [folder.state(one) for one in folder.grid.cells]))
    else:
        try:
            given_up = run_sweep(folder, log, workers, address, gpus_per_run, attempts, retry_refused)
        except KeyboardInterrupt:
            log.line("stopped; the same command goes on")
            sys.exit(130)
    rows = [folder.row(one) for one in folder.grid.cells]
    print_sweep(rows, plain_console())
    for name, end in given_up.items():
        click.echo(f"{name} was given up after {attempts} attempts: {end}; see {folder.path / 'logs'}.", err=True)
    refused = any(row["state"] == "refused" for row in rows)
    sys.exit(0 if dry_run else 1 if given_up else 2 if refused else 0)


def _run_cell(folder, which: str, log, retry_refused: bool, end_with_parent: bool) -> None:
    """Run one cell and leave with its exit code; one that is done with is not run again."""
    import traceback

    from edgefair.errors import EXIT, EdgefairError, RecipeError

    one = folder.cell(which)
    log.line(f"cell {one.number}: {one.name}")
    if retry_refused:
        folder.allow(one)
    row = folder.row(one)
    if row["state"] == "refused":
        raise RecipeError(f"{row['reason']}\nThe cell was refused for that; with --retry-refused it is tried again.")
    if row["state"] == "finished":
        log.line(f"already finished: {row['outcome']}")
        sys.exit(EXIT[row["outcome"]])
    from edgefair.pipeline.sweep.cell import end_with_parent as watch
    from edgefair.pipeline.sweep.cell import run_cell

    if end_with_parent:
        watch()
    else:
        folder.write_grid()
    try:
        report = run_cell(folder, one, log)
    except EdgefairError:
        raise
    except Exception:
        traceback.print_exc()
        sys.exit(BROKEN)  # not 1, which is a verdict
    sys.exit(EXIT[report["outcome"]] if report else 0)
