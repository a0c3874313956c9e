"""Values of a recipe from the options of a command, and choices from tables that load when they are used."""

from collections.abc import Callable, Iterable
from pathlib import Path

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


def recipe_values(recipe_file: Path | None, data: str | None, options: dict, settings: tuple[str, ...]) -> dict:
    """The recipe's nested values: the file first, then the options, then --set."""
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
        from edgefair.data import recognise

        for field, value in recognise(data).items():
            assign(values, f"data.{field}", value)
    for name, value in options.items():
        if value not in (None, ()):
            assign(values, places.get(name, name), value)
    for text in settings:
        assign(values, *assignment(text))
    return values
