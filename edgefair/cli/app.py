"""The command line: parse, call one function, print. Heavy imports happen inside commands."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from edgefair import __version__
from edgefair.cli.bench import bench
from edgefair.cli.build import build
from edgefair.cli.bundle import bundle
from edgefair.cli.compare import compare
from edgefair.cli.data import data
from edgefair.cli.frontier import frontier
from edgefair.cli.lint import lint
from edgefair.cli.lr_find import lr_find
from edgefair.cli.merge import merge
from edgefair.cli.options import recipe_options, recipe_values, search_options
from edgefair.cli.plan import plan
from edgefair.cli.predict import predict
from edgefair.cli.quantize import quantize
from edgefair.cli.recipe import recipe
from edgefair.cli.summarize import summarize
from edgefair.cli.sweep import sweep
from edgefair.cli.tune import DEFAULT_BUDGET, objective_of, search_name, tune
from edgefair.cli.verify import verify
from edgefair.errors import EXIT, EdgefairError, RecipeError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="edgefair")
def cli() -> None:
    """Distil a vision model for the edge without making it less fair, and prove both on the runtime that ships.

    Exit codes: 0 pass, 1 fail, 2 usage or input error, 3 inconclusive (too few rows to know), 130 stopped.
    """


cli.add_command(verify)
cli.add_command(compare)
cli.add_command(summarize)
cli.add_command(frontier)
cli.add_command(plan)
cli.add_command(bundle)
cli.add_command(build)
cli.add_command(predict)
cli.add_command(merge)
cli.add_command(bench)
cli.add_command(lint)
cli.add_command(quantize)
cli.add_command(data)
cli.add_command(lr_find)
cli.add_command(recipe)
cli.add_command(sweep)
cli.add_command(tune)


@cli.command("distill-and-export")
@recipe_options
@search_options
@click.option(
    "--teachers",
    type=click.Path(path_type=Path),
    help="Folder of trained teachers that runs share: one that is there is taken, one that is not is trained there.",
)
def distill_and_export(
    recipe_file: Path | None,
    settings: tuple[str, ...],
    data: str | None,
    teachers: Path | None,
    out: Path | None,
    budget: float | None,
    max_accuracy_loss: float | None,
    tradeoff: float | None,
    **options: Any,
) -> None:
    """Train a fair student, export it, rerun it on the exported runtime, and judge it."""
    from edgefair.log import Log
    from edgefair.pipeline.tune.space import open_space
    from edgefair.recipe import parse

    values = recipe_values(recipe_file, data, options, settings)
    space, objective = open_space(values), objective_of(max_accuracy_loss, tradeoff)
    if space is None and (budget, max_accuracy_loss, tradeoff) != (None, None, None):
        raise RecipeError(
            "--budget, --max-accuracy-loss and --tradeoff are for a search; add --lambda auto or --strategy auto."
        )
    recipe = space.twin() if space else parse(values)
    log = Log()
    if os.environ.get("RANK", "0") == "0":
        log.line("starting: loading libraries and data")  # a first call can take a minute before anything else is said
    from edgefair.pipeline.launch import distill_and_export as run
    from edgefair.pipeline.run_folder import run_name

    out = out or Path("runs") / (search_name(space, objective) if space else run_name(recipe))
    try:
        if space is not None:
            from edgefair.pipeline.job import check_tools
            from edgefair.pipeline.tune.run import tune as search

            check_tools(recipe)
            recipe, _ = search(space, out, log, objective, budget or DEFAULT_BUDGET, teachers)
        report = run(recipe, out, log, teachers)
    except KeyboardInterrupt:
        begun = (out / "recipe.toml").exists() or (out / "tune").exists()
        log.line(f"stopped; the same command goes on from the last checkpoint in {out}" if begun else "stopped early")
        sys.exit(130)
    if report is None:  # a process that trained along
        sys.exit(0)
    _show(report, out)
    sys.exit(EXIT[report["outcome"]])


def _show(report: dict, out: Path) -> None:
    from rich.console import Console

    from edgefair.report.terminal.run import print_report
    from edgefair.report.terminal.tune import print_tuning

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, 110)  # a file has no edge
    if report.get("tuning"):
        print_tuning(report["tuning"], console)
        console.print()
    print_report(report, console)
    console.print(f"report: {out / 'report.html'}", soft_wrap=True, markup=False)


def main() -> None:
    """Entry point of the script `edgefair`: prints what a user can mend without a traceback, with exit code 2."""
    # Threads that wait by spinning make a shared machine several times slower; torch reads this when it is imported.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    try:
        sys.exit(cli.main(prog_name="edgefair", standalone_mode=False) or 0)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        sys.exit(130)
    except EdgefairError as error:
        click.echo(f"edgefair: {error}", err=True)
        sys.exit(2)
