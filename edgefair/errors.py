"""Errors that a user can mend; the command line prints them without a traceback.

EdgefairError        anything below; exit code 2
├── RecipeError      a setting is unknown, out of range or contradicts another
├── DataError        images, labels or groups are missing, broken or undeclared
├── RunFolderError   the run folder belongs to something else, is locked or cannot be written
├── TrainingError    training cannot go on (the loss is not finite)
├── ArtefactError    an exported file is not what it should be
└── MissingExtra     an optional dependency is not installed
"""

import difflib
import importlib
from collections.abc import Iterable


class EdgefairError(Exception):
    """Something the user can mend: the message says what was wrong, its value, what is allowed and what to do."""


class RecipeError(EdgefairError):
    """A setting is unknown, out of range or contradicts another."""


class DataError(EdgefairError):
    """Images, labels or groups are missing, broken or undeclared."""


class RunFolderError(EdgefairError):
    """The run folder belongs to something else, is locked or cannot be written."""


class TrainingError(EdgefairError):
    """Training cannot go on."""


class ArtefactError(EdgefairError):
    """An exported file is not what it should be."""


class MissingExtra(EdgefairError):
    """An optional dependency is not installed."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Half a sentence that helps with an unknown name: the nearest known one, and all of them."""
    known = sorted(set(known))
    close = difflib.get_close_matches(name, known, n=1) or [each for each in known if name and each.startswith(name)]
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{hint}{'Known' if close else 'known'}: {', '.join(known)}."


def require(module: str, extra: str, purpose: str):
    """Import and return `module`, or raise MissingExtra naming the extra that brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(
            f"{purpose} needs the Python module '{module}', which cannot be imported ({error}). "
            f"Install it with: pip install 'edgefair[{extra}]'"
        ) from error


EXIT = {"pass": 0, "fail": 1, "error": 2, "inconclusive": 3}


def listed(names: list[str], most: int = 6, count: int | None = None) -> str:
    """Names with commas, cut after `most` with the number left out; `count` where `names` are the first of more."""
    left = (len(names) if count is None else count) - most
    return ", ".join(names[:most]) + (f" and {left:,} more" if left > 0 else "")
