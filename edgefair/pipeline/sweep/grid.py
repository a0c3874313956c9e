"""GRID.toml and the cells that it stands for.

    [base]           settings of every cell, as in a recipe; `recipe` names one to begin with
    [grid]           for each setting a list of values, crossed with all others
    [[grid.NAME]]    alternatives of several settings that go together, crossed with the rest
    [[leave-out]]    settings, each a value or a list of values: cells that have them all are left out

A list's setting does not reach a cell that has no use for it: lambda where the strategy is plain, a loss's weight where
another loss is chosen, what the cell's alternative has settled. Cells that are then the same are one.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from edgefair.errors import RecipeError, listed, nearest
from edgefair.files import digest, flat
from edgefair.pipeline.run_folder import run_name
from edgefair.recipe import CHOICES, Choice, Recipe, assign, parse, read
from edgefair.recipe.base import Section

TABLES = ("base", "grid", "leave-out")
# A section that is given as a text: the setting that is meant, as with the options of distill-and-export.
SHORT = {"teacher": "teacher.spec", "student": "student.spec", "loss": "loss.name", "strategy": "strategy.name"}
SHORT |= {"lambda": "strategy.lam"}
CHOSEN = {**CHOICES, "teacher.strategy": CHOICES["strategy"]}  # sections whose settings depend on their name
MOST = 10_000

Settings = dict[str, Any]
"""Values by dotted name."""


@dataclass(frozen=True)
class Cell:
    """One recipe of the grid. varied: what sets it apart, None where a setting does not reach it."""

    number: int
    recipe: Recipe
    varied: Settings

    @cached_property
    def name(self) -> str:
        """The name of its run folder; another recipe has another name."""
        return run_name(self.recipe)

    @cached_property
    def teacher(self) -> str:
        """A hash that two cells have in common exactly if they have the same teacher."""
        settings = self.recipe.model_dump(mode="json")
        return digest({name: settings[name] for name in ("seed", "device", "threads", "data", "teacher")})


@dataclass(frozen=True)
class Grid:
    """Every cell once, how many combinations were the same as another, and how many were left out."""

    cells: tuple[Cell, ...]
    same: int = 0
    left_out: int = 0
    values: dict[str, Any] = field(default_factory=dict)


def read_grid(path: Path) -> Grid:
    """The cells of a grid's file; raises RecipeError that names what is wrong in it, and in which cell."""
    if not Path(path).is_file():
        raise RecipeError(f"no grid {path}: there is no such file. edgefair recipe efficientnet-b0 --grid prints one.")
    values = read(Path(path))
    for name in values:
        if name not in TABLES:
            raise RecipeError(f"{path}: '{name}' is no table of a grid: {nearest(name, TABLES)}")
    base = values.get("base", {})
    if "recipe" in base:
        base = _merged(read(base["recipe"]), {name: value for name, value in base.items() if name != "recipe"})
    # Flat, so that the grid that is written down again keeps the order of its lists, and with it the cells' numbers.
    return expand({**values, "base": base, "grid": dict(_leaves(values.get("grid", {})))})


def expand(values: dict[str, Any]) -> Grid:
    """The cells of a grid whose base is complete; raises RecipeError."""
    base, rules = _settings(values.get("base", {})), [_settings(rule) for rule in values.get("leave-out", [])]
    lists, alternatives = _axes(values.get("grid", {}))
    names = list(dict.fromkeys(name for axis in (*lists, *alternatives) for choice in axis for name in choice))
    count = 1
    for axis in (*lists, *alternatives):
        count *= len(axis)
    if count > MOST:
        raise RecipeError(f"the grid has {count:,} combinations; at most {MOST:,} are worked off as one sweep.")
    cells: dict[str, tuple[Recipe, Settings]] = {}
    reached: set[str] = set()
    matched: set[int] = set()
    same = left_out = 0
    for some in itertools.product(*lists):
        for others in itertools.product(*alternatives):
            recipe, unused = _cell(base, _joined(some), _joined(others))
            shown = flat(recipe.model_dump(mode="json"))
            reached |= set(_joined((*some, *others))) - unused
            matching = {at for at, rule in enumerate(rules) if _matches(rule, shown)}
            matched |= matching
            if matching:
                left_out += 1
            elif recipe.hash in cells:
                same += 1
            else:
                cells[recipe.hash] = recipe, {name: None if name in unused else shown.get(name) for name in names}
    _check_reached(names, reached)
    for at in set(range(len(rules))) - matched:
        raise RecipeError(f"leave-out {rules[at]}: no combination of the grid is like that. Correct it, or remove it.")
    varied = [name for name in names if len({repr(settings[name]) for _, settings in cells.values()}) > 1]
    numbered = (
        Cell(number, recipe, {name: settings[name] for name in varied})
        for number, (recipe, settings) in enumerate(cells.values())
    )
    return Grid(tuple(numbered), same, left_out, values)


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Nested values with `above` on top; a section given as a text takes the place of one given as a table."""
    both = {name: _merged(below[name], above[name]) for name in above if _tables(below.get(name), above[name])}
    return {**below, **above, **both}


def _tables(*values: Any) -> bool:
    return all(isinstance(value, dict) for value in values)


def _settings(values: Any, prefix: str = "") -> Settings:
    """Nested values by dotted name, short forms written out."""
    if not isinstance(values, dict):
        raise RecipeError(f"{values!r} stands where a table of settings is needed, such as strategy.lam = 0.5.")
    found: Settings = {}
    for name, value in flat(values, prefix).items():
        if name == "data" and isinstance(value, str):
            from edgefair.data import recognize

            found |= {f"data.{key}": one for key, one in recognize(value).items()}
        else:
            found[SHORT.get(name, name)] = value
    return found


def _axes(table: dict[str, Any]) -> tuple[list[list[Settings]], list[list[Settings]]]:
    """The lists of single settings and those of alternatives, each choice as the settings that it makes."""
    lists, alternatives = [], []
    for name, values in _leaves(table):
        if not isinstance(values, list) or not values:
            raise RecipeError(
                f"grid.{name} is {values!r}; a list of values is needed, such as grid.seed = [0, 1]. What is the same "
                "in every cell stands in [base]."
            )
        if _tables(*values):
            section = f"{name}." if _is_section(name) else ""  # [[grid.data]] has settings of data, [[grid.method]] any
            alternatives.append([_settings(one, section) for one in values])
        else:
            lists.append([_settings({name: value}) for value in values])
    return lists, alternatives


def _leaves(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _is_section(name: str) -> bool:
    part: Any = Recipe
    for word in name.split("."):
        if name in CHOSEN:
            return True
        if not (isinstance(part, type) and issubclass(part, Section) and word in part.model_fields):
            return False
        part = part.model_fields[word].annotation
    return isinstance(part, type) and issubclass(part, Section)


def _joined(choices: tuple[Settings, ...]) -> Settings:
    return {name: value for choice in choices for name, value in choice.items()}


def _cell(base: Settings, some: Settings, others: Settings) -> tuple[Recipe, set[str]]:
    """The recipe of one combination, and which settings do not reach it."""
    wanted = {**base, **some, **others}
    names = {section: wanted.get(f"{section}.name") for section in CHOSEN}
    reaching = {name: value for name, value in wanted.items() if name in others or _reaches(name, names)}
    values: dict[str, Any] = {}
    try:
        for name, value in reaching.items():
            assign(values, name, value)
        values.setdefault("threads", 1 if values.get("device", "cpu") == "cpu" else 0)
        return parse(values), set(wanted) - set(reaching)
    except RecipeError as error:
        told = listed([f"{name} = {value!r}" for name, value in {**some, **others}.items()], most=12)
        raise RecipeError(f"in the cell with {told}: {error}" if told else str(error)) from None


def _reaches(dotted: str, names: dict[str, Any]) -> bool:
    """Whether the chosen loss, strategy or data set has a setting; one that none has is left for `parse` to name."""
    section, _, setting = dotted.rpartition(".")
    if section not in CHOSEN or setting == "name":
        return True
    choice, name = CHOSEN[section], names[section]
    if setting == "lam" and name == "plain":
        return False
    chosen = choice.classes.get(name) if name else None
    return chosen is None or setting in chosen.model_fields or not choice.owners(setting)


def _check_reached(names: list[str], reached: set[str]) -> None:
    """Refuse a list that makes no difference anywhere."""
    for name in names:
        if name not in reached:
            section, _, setting = name.rpartition(".")
            choice: Choice = CHOSEN[section]
            owners = [owner for owner in choice.owners(setting) if (owner, setting) != ("plain", "lam")]
            raise RecipeError(
                f"grid.{name}: no cell has a {choice.noun} with this setting; those that have it: {listed(owners)}."
            )


def _matches(rule: Settings, shown: Settings) -> bool:
    """Whether a cell has everything that a rule names."""
    for name, value in rule.items():
        if name not in shown or (shown[name] != value and not (isinstance(value, list) and shown[name] in value)):
            return False
    return True
