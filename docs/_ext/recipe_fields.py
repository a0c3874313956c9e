"""The recipe's fields as Markdown tables: name, what is allowed, default, meaning; read from its pydantic models."""

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from edgefair.recipe import Recipe

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
    """A section whose settings depend on `name`: what all members share, then each member's own."""
    shared = set.intersection(*(set(member.model_fields) for member in members)) - {"name"}
    names = [member.model_fields["name"].default for member in members]
    chosen = getattr(default, "name", None)
    parts = [
        f"## [{section}]",
        f"`name` is one of {', '.join(f'`{name}`' for name in names)}"
        + (f"; `{chosen}` where it is not given." if chosen else ".")
        + " A setting of another name is refused.",
    ]
    if shared:
        fields = members[0].model_fields
        parts += ["With every name:", table({name: fields[name] for name in fields if name in shared})]
    for name, member in zip(names, members, strict=True):
        own = {key: field for key, field in member.model_fields.items() if key not in shared | {"name"}}
        doc = (member.__doc__ or "").strip()
        parts += [f'### name = "{name}"', doc, table(own) if own else "No settings of its own."]
    return parts


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
    if origin is Annotated:
        return allowed(arguments[0], flat(arguments[1:]))
    if origin is Literal:
        words = ", ".join(f"`{value}`" for value in arguments)
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
