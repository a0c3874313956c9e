"""`edgefair recipe`: every setting with its meaning and its value, as TOML that --recipe reads back."""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgefair.cli.options import data_option, loss_option, recipe_values, strategy_option

if TYPE_CHECKING:  # pydantic is loaded when the command runs
    from edgefair.recipe import Choice
    from edgefair.recipe.base import Section

WIDTH = 110


@click.command("recipe")
@click.argument("name", required=False, metavar="[NAME|FILE]")
@click.option("--list", "listing", is_flag=True, help="The recipes of the package: what each is, its source, its cost.")
@click.option("--grid", is_flag=True, help="Print the grid that belongs to NAME, for edgefair sweep.")
@data_option
@loss_option
@strategy_option
@click.option("--set", "settings", multiple=True, metavar="SECTION.FIELD=VALUE", help="Any recipe field; repeatable.")
def recipe(
    name: str | None, listing: bool, grid: bool, data: str | None, settings: tuple[str, ...], **options: str | None
) -> None:
    """Print all settings with their meaning: a file for distill-and-export --recipe.

    NAME is one of the package's recipes, FILE one of yours; without either, the defaults are printed. Of losses,
    strategies and data sets the settings of the chosen one are set; those of the others stand in comments.
    """
    from edgefair.recipe import named_recipes, parse

    if listing:
        return _list()
    if grid:
        if name is None:
            raise click.UsageError("--grid needs the NAME of a recipe, such as edgefair recipe efficientnet-b0 --grid.")
        return click.echo(named_recipes.grid(name).read_text("utf-8"), nl=False)
    values = recipe_values(Path(name) if name else None, data, options, settings)
    about = named_recipes.named(name).comment + "\n" if name in named_recipes.names() else ""
    click.echo(about + annotated(parse(values)), nl=False)


def _list() -> None:
    """Name, one line, source, cost and how far it was tried, of every recipe of the package."""
    from edgefair.recipe.named_recipes import named, names

    for each in map(named, names()):
        click.echo(f"{each.name}: {each.summary}")
        for word in ("source", "cost", "tried"):
            start = f"    {word}: "
            wrapped = textwrap.wrap(getattr(each, word), WIDTH, initial_indent=start, subsequent_indent=" " * 8)
            click.echo("\n".join(wrapped))


def annotated(section: "Section", name: str = "") -> str:
    """A recipe, or a section of it, as TOML with what every field means above it."""
    from edgefair.recipe import CHOICES, setting_names
    from edgefair.recipe.base import Section

    outer, _, last = name.rpartition(".")
    choice, fields = CHOICES.get(last), type(section).model_fields
    lines, below = [f"[{name}]"] if name else [], []
    if choice:
        lines.append(_comment(f"{choice.names}; with its settings") + _line("name", section.name))
    for field in setting_names(type(section)) if choice else fields:
        part, about = getattr(section, field), fields[field].description or ""
        if isinstance(part, Section):
            below.append(
                "\n" + _comment(about or type(part).__doc__ or "") + annotated(part, f"{name}.{field}".lstrip("."))
            )
        else:
            lines.append(_comment(about) + _line(field, section.model_dump(mode="json", include={field})[field]))
    return "\n".join(lines) + "\n" + (_others(choice, type(section)) if choice and not outer else "") + "".join(below)


def _others(choice: "Choice", chosen: type["Section"]) -> str:
    """The settings that the chosen name has not, in comments under the names that have them."""
    text = _comment(f"Other {choice.plural} have these settings, which are errors with this one:")
    for names, fields in choice.settings_of_others(chosen).items():
        text += "#\n" + _comment(", ".join(names))
        for field, info in fields.items():
            text += _comment(info.description or "", "#     ") + f"#   {_line(field, info.default).lstrip('# ')}\n"
    return text


def _line(name: str, value: Any) -> str:
    """An assignment in one line, which can be commented out; for no value what would have to be completed."""
    import tomli_w

    if isinstance(value, tuple | list):
        return f"{name} = [{', '.join(_line('x', each).removeprefix('x = ') for each in value)}]"

    if isinstance(value, dict):
        return f"{name} = {{{', '.join(_line(key, each) for key, each in value.items())}}}"
    return f"# {name} =" if value is None else tomli_w.dumps({name: value}).strip()


def _comment(text: str, start: str = "# ") -> str:
    return "".join(f"{start}{line}\n" for line in textwrap.wrap(" ".join(text.split()), WIDTH - len(start)))
