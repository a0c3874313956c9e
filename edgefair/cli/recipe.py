"""`edgefair recipe`: every setting with its meaning and its value, as TOML that --recipe reads back."""

import textwrap

import click

WIDTH = 110


@click.command("recipe")
@click.option("--data", help="Data set, as for distill-and-export; defaults follow it.  [default: trifeature]")
@click.option("--set", "settings", multiple=True, metavar="SECTION.FIELD=VALUE", help="Any recipe field; repeatable.")
def recipe(data, settings) -> None:
    """Print all settings with their meaning: a file for distill-and-export --recipe."""
    from edgefair.cli.options import recipe_values
    from edgefair.recipe import parse

    click.echo(annotated(parse(recipe_values(None, data, {}, settings))), nl=False)


def annotated(section, name: str = "") -> str:
    """A recipe, or a section of it, as TOML with what every field means above it."""
    from pydantic import BaseModel

    lines, below = [f"[{name}]"] if name else [], []
    values = section.model_dump(mode="json")
    for field, about in type(section).model_fields.items():
        part = getattr(section, field)
        if isinstance(part, BaseModel):
            below.append("\n" + _comment(type(part).__doc__) + annotated(part, field))
        else:
            lines.append(_comment(about.description or "") + _line(field, values[field]))
    return "\n".join(lines) + "\n" + "".join(below)


def _line(name: str, value) -> str:
    """An assignment; of a table the inline form, and for no value what would have to be completed."""
    import tomli_w

    if isinstance(value, dict):
        return f"{name} = {{{', '.join(_line(key, each) for key, each in value.items())}}}"
    return f"# {name} =" if value is None else tomli_w.dumps({name: value}).strip()


def _comment(text: str) -> str:
    return "".join(f"# {line}\n" for line in textwrap.wrap(" ".join(text.split()), WIDTH - 2))
