"""Options that several commands share, choices from tables that load when used, and the values of a recipe."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click


class TableChoice(click.Choice):
    """One of the names of a table; the table is imported when the option is parsed or explained, not with the command.

    strict: False leaves it to the command to refuse a name, whose error says which known one is nearest.
    """

    def __init__(self, names: Callable[[], Iterable[str]], strict: bool = True):
        self._names, self._strict = names, strict
        self.case_sensitive = True

    @property
    def choices(self) -> tuple[str, ...]:
        return tuple(self._names())

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name itself."""
        return super().convert(value, param, ctx) if self._strict else value


def target_names() -> Iterable[str]:
    """What files can be made for."""
    from edgefair.recipe.targets import TARGETS

    return TARGETS


def target_runtimes() -> Iterable[str]:
    """What executes the files of some target."""
    from edgefair.recipe.targets import TARGETS

    return dict.fromkeys(target.runtime for target in TARGETS.values())


def precision_names() -> Iterable[str]:
    """Number formats of files."""
    from edgefair.recipe.targets import PRECISIONS

    return PRECISIONS


def names_of(section: str) -> Callable[[], Iterable[str]]:
    """The names that a section of the recipe may have: losses, strategies."""

    def names() -> Iterable[str]:
        from edgefair.recipe import CHOICES

        return CHOICES[section].classes

    return names


def recipe_option(what: str):
    """The option `--recipe`: a file or a name; `what` says what is done with it."""
    help_ = f"TOML file, or a name that edgefair recipe --list shows; {what}."
    return click.option("--recipe", "recipe_file", metavar="NAME|FILE", type=click.Path(path_type=Path), help=help_)


data_option = click.option(
    "--data",
    help="Data set: trifeature, which is rendered, a path that is recognised (a CSV or Parquet list with path, label "
    "and group, a folder as published), NAME=PATH such as cifar10s=FOLDER, or hf:NAME; edgefair recipe lists the "
    "names.  [default: trifeature]",
)
loss_option = click.option(
    "--loss",
    type=TableChoice(names_of("loss"), strict=False),
    help="Distillation loss.  [default: ckd, rkd for the rendered data]",
)
strategy_option = click.option(
    "--strategy",
    type=TableChoice(names_of("strategy"), strict=False),
    help="Debiasing strategy.  [default: lagrangian, adversarial for the rendered data, plain for data without groups]",
)


class Strength(click.ParamType):
    """A number, or "auto": it is searched."""

    name = "number or auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        """The number, or "auto"."""
        try:
            return value if value == "auto" else float(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor auto.", param, ctx)


def recipe_options(command: Callable) -> Callable:
    """The options of a whole recipe, for the commands that train."""
    for option in reversed(_RECIPE_OPTIONS):
        command = option(command)
    return command


_RECIPE_OPTIONS = (
    recipe_option("options below go on top of it"),
    data_option,
    click.option("--task", help="Attribute that is predicted, such as age.  [default: the data set's]"),
    click.option("--group", help="Protected attribute; several such as gender+race are intersected."),
    click.option(
        "--teacher",
        help="cifar:resnet20, timm:NAME, torchvision:NAME, clip:resnet50, clip:vit_b_32, flava, file:PATH or "
        "onnx:PATH.",
    ),
    click.option("--student", help="cifar:resnet8, timm:NAME, torchvision:NAME, shufflenet_v2 or file:PATH."),
    loss_option,
    click.option(
        "--strategy",
        type=TableChoice(lambda: (*names_of("strategy")(), "auto"), strict=False),
        help="Debiasing strategy; auto searches.  [default: lagrangian, adversarial for the rendered data, plain for "
        "data without groups]",
    ),
    click.option(
        "--lambda", "lam", type=Strength(), help="Strength of the debiasing; 0 is none, auto searches (edgefair tune)."
    ),
    click.option(
        "--target",
        "targets",
        multiple=True,
        type=TableChoice(target_names),
        help="What the files are for; repeatable.  [default: everything that this machine can run]",
    ),
    click.option(
        "--precision",
        "precisions",
        multiple=True,
        type=TableChoice(precision_names),
        help="Number format of the files; repeatable.  [default: all that a target executes well, fp8 excepted]",
    ),
    click.option("--seed", type=int, help="Seed of every random choice."),
    click.option("--device", type=click.Choice(["cpu", "cuda"]), help="Where the networks are trained."),
    click.option(
        "--skip-broken", is_flag=True, default=None, help="Leave out images that cannot be read, and count them."
    ),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="SECTION.FIELD=VALUE",
        help="Any recipe field, such as teacher.epochs=9 or train.epochs=9 (the student's); repeatable. edgefair "
        "recipe prints all of them with their meaning.",
    ),
    click.option(
        "--out",
        type=click.Path(path_type=Path),
        help="Run folder; the same folder again goes on where it stopped.  [default: runs/NAME, named after the "
        "settings]",
    ),
)


def search_options(command: Callable) -> Callable:
    """The options of a search for the recipe."""
    for option in reversed(_SEARCH_OPTIONS):
        command = option(command)
    return command


_SEARCH_OPTIONS = (
    click.option(
        "--budget",
        type=click.FloatRange(2),
        help="What a search may cost, in full trainings of a student; teachers come on top.  [default: 6]",
    ),
    click.option(
        "--max-accuracy-loss",
        type=click.FloatRange(0, 100),
        metavar="POINTS",
        help="Accuracy that a smaller gap may cost beside the plain twin.  [default: 0.5]",
    ),
    click.option(
        "--tradeoff",
        type=click.FloatRange(0),
        metavar="LAMBDA",
        help="Search the largest accuracy - LAMBDA * gap instead.",
    ),
)


def recipe_values(
    recipe_file: Path | None, data: str | None, options: dict[str, Any], settings: tuple[str, ...]
) -> dict[str, Any]:
    """Nested values of a recipe: `recipe_file` first, then `data`, other options by name, --set settings."""
    from edgefair.recipe import assign, assignment, read

    values = read(recipe_file) if recipe_file else {}
    places = {
        "teacher": "teacher.spec",
        "student": "student.spec",
        "loss": "loss.name",
        "strategy": "strategy.name",
        "lam": "strategy.lam",
        "targets": "deploy.targets",
        "precisions": "deploy.precisions",
        "skip_broken": "data.skip_broken",
        "task": "data.task",
        "group": "data.group",
    }
    if data is not None:
        from edgefair.data import recognize

        for field, value in recognize(data).items():
            assign(values, f"data.{field}", value)
    for name, value in options.items():
        if value not in (None, ()):
            assign(values, places.get(name, name), value)
    for text in settings:
        assign(values, *assignment(text))
    return values
