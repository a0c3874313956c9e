"""The public names of the package as Markdown: those that a test keeps importable, and each module's `__all__`."""

import ast
import importlib
import inspect
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel

CONTRACT = Path(__file__).parents[2] / "tests" / "contracts" / "test_public_names.py"
LEFT_OUT = {"edgefair.cli", "edgefair.testing.plugin"}  # the command reference, and fixtures: the page on tests


def promised() -> dict[str, list[str]]:
    """Module and names as `test_public_names.py` lists them."""
    for node in ast.parse(CONTRACT.read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "NAMES":
            return {module: names for module, names in ast.literal_eval(node.value).items() if module not in LEFT_OUT}
    raise LookupError(f"{CONTRACT.name} has no NAMES")


def markdown() -> str:
    """A section for each module, its names documented by autodoc."""
    return "\n".join(section(module, names) for module, names in promised().items())


def section(module: str, names: list[str]) -> str:
    """A module: its first sentence, then each public name."""
    loaded = importlib.import_module(module)
    also = [name for name in getattr(loaded, "__all__", ()) if describable(getattr(loaded, name))]
    names = sorted({*names, *also}, key=lambda name: (name.isupper(), name.lower()))
    lines = [f"## {module}", "", first_sentence(loaded), "", "```{eval-rst}", f".. currentmodule:: {module}", ""]
    for name in names:
        lines += directive(module, name, getattr(loaded, name))
    return "\n".join([*lines, "```", ""])


def describable(value) -> bool:
    """Whether autodoc or a list of keys says what a value is."""
    return callable(value) or isinstance(value, dict | tuple)


def directive(module: str, name: str, value) -> list[str]:
    """The autodoc directive of a name; a table is shown by its keys, another value by what its class says of itself."""
    if inspect.isclass(value):
        own = [] if issubclass(value, BaseModel) else ["   :members:"]  # settings: the recipe reference
        return [f".. autoclass:: {name}", *own, ""]
    if callable(value):
        return [f".. autofunction:: {name}", ""]
    text = ", ".join(f"``{key}``" for key in value) if isinstance(value, Iterable) else first_sentence(type(value))
    return [f".. py:data:: {name}", "", f"   {text}", ""]


def first_sentence(thing) -> str:
    """What a module or a class says of itself, in one paragraph."""
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())


def escape_docstring(app, what, name, value, options, lines: list[str]) -> None:
    """Docstrings are plain text with code between single backticks: what reStructuredText would read is escaped."""
    for index, line in enumerate(lines):
        parts = line.split("`")
        for place in range(0, len(parts), 2):
            for mark in ("\\", "*", "|"):
                parts[place] = parts[place].replace(mark, f"\\{mark}")
            parts[place] = parts[place].replace("_ ", "\\_ ")
        lines[index] = "``".join(parts)


def skip_alias(app, what, name, value, skip, options) -> bool | None:
    """Fields of a named tuple that say no more than their number are left out: the class says what they are."""
    return True if str(getattr(value, "__doc__", "")).startswith("Alias for field number") else None
