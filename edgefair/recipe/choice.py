"""Sections whose settings depend on their `name`: which names there are, and which settings belong to which."""

import inspect
from dataclasses import dataclass
from typing import Any, get_args

from pydantic.fields import FieldInfo

from edgefair.errors import listed, nearest
from edgefair.recipe.base import Section


def setting_names(section: type[Section]) -> tuple[str, ...]:
    """The settings of a section, its own before those that it shares; without `name`."""
    declared = [name for owner in section.__mro__ for name in inspect.get_annotations(owner)]
    return tuple(name for name in dict.fromkeys(declared) if name in section.model_fields and name != "name")


@dataclass(frozen=True)
class Choice:
    """The classes of settings by name, and what one of them is called in messages."""

    classes: dict[str, type[Section]]
    noun: str
    plural: str

    @classmethod
    def of(cls, union: Any, noun: str, plural: str) -> "Choice":
        """The choice among the members of a pydantic union that is discriminated by `name`."""
        members = get_args(get_args(union)[0])
        return cls({member.model_fields["name"].default: member for member in members}, noun, plural)

    @property
    def names(self) -> str:
        """The names as a phrase: a, b or c."""
        *first, last = self.classes
        return f"{', '.join(first)} or {last}"

    def owners(self, setting: str) -> list[str]:
        """The names that have a setting."""
        return [name for name, section in self.classes.items() if setting in section.model_fields]

    def settings_of_others(self, chosen: type[Section]) -> dict[tuple[str, ...], dict[str, FieldInfo]]:
        """Settings that `chosen` has not, under the names that have them with one meaning and one default."""
        names: dict[tuple[str, str, str | None], list[str]] = {}
        for name, section in self.classes.items():
            for field, info in section.model_fields.items():
                if field not in chosen.model_fields:
                    names.setdefault((field, repr(info.default), info.description), []).append(name)
        others: dict[tuple[str, ...], dict[str, FieldInfo]] = {}
        for (field, *_), owners in names.items():
            others.setdefault(tuple(owners), {})[field] = self.classes[owners[0]].model_fields[field]
        return others

    def unknown_name(self, name: object) -> str:
        """What is said of a name that is not in the choice."""
        return f"unknown {self.noun} '{name}'; {nearest(str(name), self.classes)}"

    def unknown_setting(self, dotted: str, name: str) -> str:
        """What is said of a setting that `name` has not: whose it is, or which one may be meant."""
        setting, own = dotted.rpartition(".")[2], setting_names(self.classes[name])
        owners = self.owners(setting)
        if not owners:
            return f"'{dotted}' is not a setting of {self.noun} '{name}': {nearest(setting, own)}"
        whose = self.noun if len(owners) == 1 else self.plural
        return (
            f"'{dotted}' is a setting of {whose} {listed([repr(owner) for owner in owners])}, not of '{name}' "
            f"(settings of '{name}': {', '.join(own)}). Leave it out."
        )
