"""Which attribute of an image is predicted, and which one, or which intersection of several, is protected."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgefair.data.listing import ALL
from edgefair.errors import RecipeError, nearest
from edgefair.recipe.data_base import AgeSettings, DataSettings

AGES = ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70")
THREE_AGES = ("under 20", "20 to 39", "40 and over")
GENDERS = ("Female", "Male")


@dataclass(frozen=True)
class Chosen:
    """The predicted attribute and the protected ones, with the names of classes and groups in order."""

    task: str
    protected: tuple[str, ...]
    class_names: tuple[str, ...] = ()
    group_names: tuple[str, ...] = ()

    def label(self, values: dict[str, str]) -> str:
        """The class of an image by its attributes; empty where it is not stated."""
        return values[self.task]

    def group(self, values: dict[str, str]) -> str:
        """The group of an image: its protected attributes joined by `+`; empty, unknown, where one is not stated."""
        if not self.protected:
            return ALL[0]
        parts = [values[name] for name in self.protected]
        return "+".join(parts) if all(parts) else ""

    def about(self) -> dict[str, Any]:
        """What a report says of the choice."""
        return {"task": self.task, "group": "+".join(self.protected)}


def choose(settings: DataSettings, known: Mapping[str, tuple[str, ...]], title: str) -> Chosen:
    """The attributes that data.task and data.group name, out of those known with their values in order.

    The groups of several protected attributes are all combinations of their values. Without any there is one group.
    Raises RecipeError for an unknown attribute, or one that is asked for twice.
    """
    protected = protected_of(settings)
    for field, names in (("task", (settings.task,)), ("group", protected)):
        for name in names:
            if name not in known:
                raise RecipeError(f"data.{field} '{name}' is no {title} column; {_several(name)}{nearest(name, known)}")
    if settings.task in protected or len(set(protected)) < len(protected):
        raise RecipeError(
            f"data.task and data.group are both '{settings.task}'; the protected attribute must be another column."
            if settings.task in protected
            else f"data.group '{settings.group}' names an attribute twice."
        )
    combined = itertools.product(*(known[name] for name in protected))
    groups = tuple("+".join(values) for values in combined) if protected else ALL
    return Chosen(settings.task, protected, known[settings.task], groups)


def _several(name: str) -> str:
    return f"several are joined by +: {name.replace(' ', '').replace(',', '+')}. " if "," in name else ""


def protected_of(settings: DataSettings) -> tuple[str, ...]:
    """The attributes that data.group names, which are joined by `+`."""
    parts = tuple(part.strip() for part in settings.group.split("+")) if settings.group.strip() else ()
    if not all(parts):
        raise RecipeError(
            f"data.group '{settings.group}': a name is missing beside '+'. Several are given as gender+race."
        )
    return parts


def age_names(settings: AgeSettings) -> tuple[str, ...]:
    """The age buckets that the settings ask for."""
    return THREE_AGES if settings.age_buckets == 3 else AGES


def age_name(years: int, settings: AgeSettings) -> str:
    """The bucket of an age in years."""
    if settings.age_buckets == 3:
        return THREE_AGES[(years >= 20) + (years >= 40)]
    return AGES[(years >= 3) + sum(years >= edge for edge in range(10, 80, 10))]
