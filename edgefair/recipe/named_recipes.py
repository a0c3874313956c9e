"""Recipes of the package by name: named/NAME.toml, whose first comment says what it is, from where, at what cost.

The first line of that comment is what the recipe is; `Source:`, `Cost:` and `Tried:` begin the paragraphs that follow.
NAME.grid.toml beside it is a grid for `edgefair sweep` on top of the recipe.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from edgefair.errors import RecipeError, nearest

FOLDER = Path(__file__).parent / "named"
_GRID = ".grid"


@dataclass(frozen=True)
class Named:
    """A recipe of the package and what its first comment says: one line, source, cost, how far it was tried here."""

    name: str
    path: Path
    summary: str
    source: str
    cost: str
    tried: str

    @property
    def comment(self) -> str:
        """The whole first comment, with its marks."""
        return _first_comment(self.path.read_text("utf-8"))


def names() -> tuple[str, ...]:
    """The names of all recipes of the package, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml") if not path.stem.endswith(_GRID)))


def named(name: str) -> Named:
    """The recipe of that name; raises RecipeError that tells the nearest one."""
    if name not in names():
        raise RecipeError(f"no recipe of the package is called '{name}'; {nearest(name, names())}")
    path = FOLDER / f"{name}.toml"
    lines = [line.removeprefix("#").strip() for line in _first_comment(path.read_text("utf-8")).splitlines()]
    said = {word: _paragraph(lines, word) for word in ("source", "cost", "tried")}
    return Named(name, path, lines[0], **said)


def grid(name: str) -> Path:
    """The file of the grid that belongs to a recipe; raises RecipeError where it has none."""
    path = named(name).path.with_suffix(f"{_GRID}.toml")
    if not path.is_file():
        have = [each for each in names() if (FOLDER / f"{each}{_GRID}.toml").is_file()]
        raise RecipeError(f"the recipe '{name}' has no grid; those that have one: {', '.join(have)}.")
    return path


def locate(name: str | Path) -> Path:
    """The file that is meant: the one of that path, or the package's recipe of that name.

    Raises RecipeError where there is neither; a name is a word without a folder or an ending.
    """
    path = Path(name)
    if path.is_file() or str(name) not in names():
        return path
    return named(str(name)).path


def _first_comment(text: str) -> str:
    return text[: match.end()] if (match := re.match(r"(#.*\n)+", text)) else ""


def _paragraph(lines: list[str], word: str) -> str:
    """What follows `Word:`, until the next one or an empty line; on one line."""
    found: list[str] = []
    for line in lines:
        if line.lower().startswith(f"{word}:"):
            found = [line.partition(":")[2].strip()]
        elif found and (not line or re.match(r"[A-Z][a-z]+: ", line)):
            break
        elif found:
            found.append(line)
    return " ".join(found)
