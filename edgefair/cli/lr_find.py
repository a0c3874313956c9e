"""`edgefair lr-find`: a learning rate for a network on a data set, from a few steps."""

from pathlib import Path
from typing import Any

import click

from edgefair.cli.options import data_option, recipe_option, recipe_values

LITTLE = 0.05  # a fall of the loss that may be noise


@click.command("lr-find")
@recipe_option("options below go on top of it")
@data_option
@click.option("--teacher", help="The teacher's network, as for distill-and-export.")
@click.option("--student", help="The student's network, as for distill-and-export.")
@click.option("--network", type=click.Choice(["teacher", "student"]), default="teacher", show_default=True)
@click.option("--low", type=click.FloatRange(0, min_open=True), default=1e-5, show_default=True, help="First rate.")
@click.option("--high", type=click.FloatRange(0, min_open=True), default=10.0, show_default=True, help="Last rate.")
@click.option("--steps", type=click.IntRange(10), default=100, show_default=True, help="Steps to take.")
@click.option("--seed", type=int, help="Seed of every random choice.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), help="Where the network is trained.")
@click.option("--set", "settings", multiple=True, metavar="SECTION.FIELD=VALUE", help="Any recipe field; repeatable.")
@click.option("--plot", type=click.Path(path_type=Path), help="SVG to write.  [default: lr-find-NETWORK.svg]")
def lr_find(
    recipe_file: Path | None,
    data: str | None,
    network: str,
    low: float,
    high: float,
    steps: int,
    settings: tuple[str, ...],
    plot: Path | None,
    **options: Any,
) -> None:
    """Suggest a learning rate: the loss is watched while the rate grows from step to step (range test).

    The student learns from a teacher that is a file (file:, onnx:); without one, from the labels alone.
    """
    from edgefair.errors import RecipeError
    from edgefair.files import write_bytes
    from edgefair.log import Log
    from edgefair.recipe import parse
    from edgefair.report.lr_curve import lr_curve

    if high <= low:
        raise RecipeError(f"--high {high:g} is not above --low {low:g}; the rate grows from the one to the other.")
    if plot is not None and plot.is_dir():
        raise RecipeError(f"--plot {plot} is a folder; name the SVG file to write.")
    recipe = parse(recipe_values(recipe_file, data, options, settings))
    log = Log()
    strategy, loader = _prepare(recipe, network, log)
    from edgefair.training.lr_finder import find

    with log.progress("range test", steps) as advance:
        finding = find(strategy, loader, low, high, steps, advance)
    spec, plot = getattr(recipe, network).spec, plot or Path(f"lr-find-{network}.svg")
    drawn = (finding.rates, finding.losses, finding.smooth, finding.suggestion)
    curve = lr_curve(*drawn, f"{network} {spec} on {recipe.data.name}")
    write_bytes(plot, curve.encode())
    section = "teacher" if network == "teacher" else "train"
    if finding.fall < LITTLE:
        log.line(
            f"warning: the loss fell by {100 * finding.fall:.1f} % only, which may be noise: look at the plot before "
            "you use the rate, and take more steps (--steps) or rows"
        )
    if len(finding.rates) == steps and finding.lowest >= finding.rates[-1 - steps // 10]:
        log.line(
            f"warning: the loss was still falling near the last rate, {finding.rates[-1]:.2g}, so the range ends too "
            "early: raise --high, or take fewer --steps so that the rate grows faster"
        )
    click.echo(
        f"suggested learning rate: {finding.suggestion:.2g} (steepest fall at {finding.steepest:.2g}, smallest loss at "
        f"{finding.lowest:.2g}, {len(finding.rates)} steps)\n"
        f"use it with: --set {section}.lr={finding.suggestion:.2g}\nplot: {plot}"
    )


def _prepare(recipe, network: str, log):
    """A plain strategy and the loader for the network that is asked about."""
    from edgefair.data import load_examples
    from edgefair.errors import RecipeError
    from edgefair.models.factory import FROZEN_PREFIXES
    from edgefair.recipe.losses import CrossEntropySettings
    from edgefair.recipe.strategies import PlainSettings
    from edgefair.training.assemble import TrainingSettings, build_training
    from edgefair.training.stages import build, check_trainable, training_device

    device = training_device(recipe)
    part = getattr(recipe, network)
    check_trainable(recipe.student)
    if network == "teacher" and part.spec.startswith(FROZEN_PREFIXES):
        raise RecipeError(f"the teacher '{part.spec}' is used as it is; ask for --network student, or name another.")
    examples = load_examples(recipe.data, recipe.seed, log)
    model, teacher, loss = build(part, examples, recipe.seed).to(device), None, CrossEntropySettings()
    if network == "teacher" and part.freeze:
        model.freeze()
    if network == "student" and recipe.teacher.spec.startswith(FROZEN_PREFIXES):
        teacher, loss = build(recipe.teacher, examples, recipe.seed).to(device), recipe.loss
    elif network == "student":
        log.line("the teacher is no file, so the student learns from the labels alone")
    train = recipe.teacher if network == "teacher" else recipe.train
    settings = TrainingSettings(train, loss, PlainSettings())
    return build_training(settings, examples, model, teacher, recipe.seed, device)
