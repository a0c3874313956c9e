"""The recipe's fields as Markdown tables: name, what is allowed, default, meaning; read from its pydantic models."""

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from edgefair.recipe import Recipe
from edgefair.recipe.targets import TARGETS, TargetName

WORDS = {str: "text", int: "whole number", float: "number", bool: "`true` or `false`", type(None): "nothing"}
BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def markdown() -> str:
    """All sections of the recipe; one whose settings depend on `name` has a table for each name."""
    own = {name: field for name, field in Recipe.model_fields.items() if not models(field.annotation)}
    parts = ["## Of the whole run", table(own)]
    for name, field in Recipe.model_fields.items():
        found = models(field.annotation)
        if len(found) == 1:
            parts += [f"## [{name}]", found[0].__doc__, table(found[0].model_fields)]
        elif found:
            parts += choice(name, found, field.default)
    return "\n\n".join(parts) + "\n"


def models(annotation: Any) -> list[type[BaseModel]]:
    """The models of settings that an annotation names: none, one, or the members of a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models(part)]


def choice(section: str, members: list[type[BaseModel]], default: Any) -> list[str]:
    """A section whose settings depend on `name`: the names, then tables of settings by the names that have them."""
    named = {member.model_fields["name"].default: member for member in members}
    chosen = getattr(default, "name", None)
    said = [f"- `{name}`: {' '.join((member.__doc__ or '').split())}" for name, member in named.items()]
    parts = [
        f"## [{section}]",
        f"`name` is one of those below{f', `{chosen}` where it is not given' if chosen else ''}. A setting that the "
        "chosen name has not is refused.",
        "\n".join(said),
    ]
    for owners, fields in by_owners(named).items():
        parts += [f"### [{section}] of {whose(owners, list(named))}", table(fields)]
    return parts


def by_owners(named: dict[str, type[BaseModel]]) -> dict[tuple[str, ...], dict[str, FieldInfo]]:
    """Settings under the names that have them with one meaning and one default; what most have comes first."""
    owners: dict[tuple, list[str]] = {}
    for name, member in named.items():
        for setting, field in member.model_fields.items():
            if setting != "name":
                owners.setdefault((setting, repr(field.default), field.description), []).append(name)
    grouped: dict[tuple[str, ...], dict[str, FieldInfo]] = {}
    for (setting, *_), names in sorted(owners.items(), key=lambda item: -len(item[1])):
        grouped.setdefault(tuple(names), {})[setting] = named[names[0]].model_fields[setting]
    return grouped


def whose(owners: tuple[str, ...], names: list[str]) -> str:
    """Names as a phrase; of most names those that are left out."""
    if len(owners) == len(names):
        return "every name"
    others = [name for name in names if name not in owners]
    if len(others) < len(owners) / 2:
        return "all but " + ", ".join(others)
    return ", ".join(owners)


def table(fields: dict[str, FieldInfo]) -> str:
    """Fields as a table; a line break in a meaning becomes a space."""
    rows = [
        [
            f"`{name}`",
            allowed(field.annotation, field.metadata),
            shown(field),
            " ".join((field.description or "").split()),
        ]
        for name, field in fields.items()
    ]
    rows = [["field", "allowed", "default", "meaning"], ["---"] * 4, *([escape(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def escape(text: str) -> str:
    """Text inside a cell of a table."""
    return text.replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;")


def allowed(annotation: Any, metadata: list = ()) -> str:
    """What values a field takes, in words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation == TargetName:
        return ", ".join(f"`{name}`" for name in TARGETS)
    if origin is Annotated and not models(annotation):
        return allowed(arguments[0], flat(arguments[1:]))
    if origin is Literal:
        words = ", ".join(f"`{value}`" for value in arguments)
    elif models(annotation):
        words = "a name, or a table as of a section that is described here"
    elif origin in (Union, types.UnionType):
        words = " or ".join(allowed(part) for part in arguments)
    elif origin in (tuple, list):
        words = f"list of {allowed(arguments[0])}"
    elif origin is dict:
        words = f"table of {allowed(arguments[1])}"
    else:
        words = WORDS.get(annotation) or getattr(annotation, "__name__", str(annotation))
    return ", ".join([words, *bounds(metadata)])


def bounds(metadata: list) -> list[str]:
    """Limits of a number: `0 to 1`, `> 0`."""
    values = {name: getattr(limit, name) for limit in metadata for name in BOUNDS if hasattr(limit, name)}
    if {"ge", "le"} <= set(values):
        return [f"{values['ge']} to {values['le']}"]
    return [f"{BOUNDS[name]} {value}" for name, value in values.items()]


def flat(metadata: tuple) -> list:
    """Constraints, those inside a FieldInfo included."""
    return [limit for item in metadata for limit in (item.metadata if isinstance(item, FieldInfo) else [item])]


def shown(field: FieldInfo) -> str:
    """The default as TOML would have it."""
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "required"
    if value is None:
        return "–"
    if isinstance(value, BaseModel):
        return f"`{literal(getattr(value, 'name', ''))}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple | list):
        return f"`[{', '.join(map(literal, value))}]`"
    return f"`{literal(value)}`"


def literal(value: Any) -> str:
    """A value as TOML."""
    return f'"{value}"' if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    print(markdown())
