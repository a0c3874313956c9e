"""What all charts share: their words, and numbers and names as they are drawn."""

from collections.abc import Iterable
from typing import NamedTuple


class Chart(NamedTuple):
    """One drawing as SVG text, with the words around it."""

    id: str
    section: str
    title: str
    caption: str
    svg: str
    legend: tuple[tuple[str, str], ...] = ()  # (class of the sample, name)


def points(share: float | None) -> float | None:
    """A share of one as percent or points; an undefined one stays undefined."""
    return None if share is None else 100 * share


def short(name: str, most: int = 22) -> str:
    """A name cut to `most` characters in its middle, for names often differ at their ends."""
    return name if len(name) <= most else f"{name[: most - most // 3 - 1]}…{name[-(most // 3) :]}"


def largest(values: Iterable[float | None], least: float) -> float:
    """The largest defined value, at least `least`."""
    return max([least, *(value for value in values if value is not None)])
