"""`edgefair tune`: which recipe lowers the gap, found on validation rows within a budget."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgefair.cli.options import recipe_options, recipe_values, search_options

if TYPE_CHECKING:
    from edgefair.metrics.honest_choice import Objective
    from edgefair.pipeline.tune.space import Space

DEFAULT_BUDGET = 6.0


@click.command("tune")
@recipe_options
@search_options
def tune(
    recipe_file: Path | None,
    settings: tuple[str, ...],
    data: str | None,
    out: Path | None,
    budget: float | None,
    max_accuracy_loss: float | None,
    tradeoff: float | None,
    **options: Any,
) -> None:
    """Search the recipe with the least gap between groups, on validation rows, within a budget.

    Whatever is not given is searched: strategy, lambda, loss and its weight, how rows are drawn, for the teacher too.
    With a named strategy lambda alone is. The result is a run folder whose student is trained; distill-and-export with
    --recipe OUT/recipe.toml --out OUT goes on from there, or does all of it at once with --lambda auto.
    """
    from edgefair.log import Log
    from edgefair.pipeline.tune.space import open_space

    space = open_space(recipe_values(recipe_file, data, options, settings), everything=True)
    assert space is not None  # everything is searched
    objective, log = objective_of(max_accuracy_loss, tradeoff), Log()
    out = out or Path("runs") / search_name(space, objective)
    log.line("starting: loading libraries and data")
    from edgefair.pipeline.tune.run import tune as search
    from edgefair.report.terminal.tables import plain_console
    from edgefair.report.terminal.tune import print_tuning

    try:
        _, record = search(space, out, log, objective, budget or DEFAULT_BUDGET)
    except KeyboardInterrupt:
        log.line(f"stopped; the same command goes on with what was tried in {out}")
        sys.exit(130)
    print_tuning(record, plain_console())
    click.echo(f"recipe: {out / 'recipe.toml'}")


def objective_of(max_accuracy_loss: float | None, tradeoff: float | None) -> "Objective":
    """What a search looks for, as the options say; points and a factor."""
    from edgefair.errors import RecipeError
    from edgefair.metrics.honest_choice import Objective

    if tradeoff is None:
        return Objective("gap", (0.5 if max_accuracy_loss is None else max_accuracy_loss) / 100)
    if max_accuracy_loss is not None:
        raise RecipeError(
            "--tradeoff weighs accuracy against the gap, so --max-accuracy-loss says nothing; choose one."
        )
    return Objective("tradeoff", lam=tradeoff)


def search_name(space: "Space", objective: "Objective") -> str:
    """What the folder of a search is called where nobody says."""
    from edgefair.files import digest

    base = space.base
    data = Path(base.data.path).stem if base.data.name == "manifest" else base.data.name
    return f"{data}-auto-seed{base.seed}-{digest([base.hash, space.free, repr(objective)])[:6]}"
