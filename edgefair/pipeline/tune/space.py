"""What a search may change in a recipe, where it looks, and where it begins."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

from edgefair.errors import RecipeError
from edgefair.files import flat
from edgefair.recipe import STRATEGY, Recipe, parse

AUTO = "auto"
FULL, LAMBDA_ONLY = ("strategy", "lam", "loss", "weight", "sampling", "teacher"), ("lam",)
# Strengths worth trying, on a log scale; 1 is all of it where lambda mixes a changed student with the trained one.
LAMBDAS = {"adversarial": (0.1, 4.0), "intra": (0.1, 4.0), "bird": (0.05, 2.0), "lagrangian": (0.05, 1.0)}
OTHER_LAMBDAS = (0.25, 1.0)
# Factors on a loss's own weights worth trying: published ones wreck some small students.
WEIGHTS = {"mfd": (("mfd_weight",), 0.03, 3.0), "rkd": (("distance_weight", "angle_weight"), 0.04, 1.0)}
# What a strategy would choose by validation rows is set instead: recipes are compared on them.
ON_VALIDATION_ROWS = {"afr": {"gammas": [8.0]}}
LOSSES = ("none", "ckd", "mfd")
FAIR = "within-class"


class Suggest(Protocol):
    """What a search asks a trial of Optuna for."""

    def suggest_categorical(self, name: str, choices: list[str]) -> Any: ...

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float: ...


@dataclass(frozen=True)
class Point:
    """One place in the space; None stands for what the recipe has."""

    strategy: str | None = None
    lam: float | None = None
    loss: str | None = None
    weight: float | None = None  # factor on the loss's own weights
    sampling: str | None = None
    teacher: str | None = None  # how the teacher's rows are drawn


PLAIN = Point(strategy="plain")


@dataclass(frozen=True)
class Space:
    """The settings that the user left open, around those that were given.

    values   nested values of a recipe, as given, without "auto"
    free     the fields of Point that may be changed
    """

    values: dict[str, Any]
    free: tuple[str, ...]

    @property
    def base(self) -> Recipe:
        """The recipe as it would be without a search."""
        return parse(self.values)

    def recipe(self, point: Point) -> Recipe:
        """The recipe of a point; raises RecipeError where its settings do not fit."""
        values, base = copy.deepcopy(self.values), self.base
        strategy = point.strategy or base.strategy.name
        if strategy != base.strategy.name:
            given = {k: v for k, v in values.get("strategy", {}).items() if k == "lam"}
            values["strategy"] = {"name": strategy, **given, **ON_VALIDATION_ROWS.get(strategy, {})}
        if point.lam is not None:
            values.setdefault("strategy", {}).update(name=strategy, lam=point.lam)
        loss = point.loss or base.loss.name
        if loss != base.loss.name:
            shared = {name: value for name, value in values.get("loss", {}).items() if name == "temperature"}
            values["loss"] = shared | {"name": loss}
        if point.weight is not None:
            settings = parse({"loss": {"name": loss}}).loss if loss != base.loss.name else base.loss
            scaled = {name: _round(point.weight * getattr(settings, name)) for name in WEIGHTS[loss][0]}
            values.setdefault("loss", {}).update(name=loss, **scaled)
        for section, sampling in (("train", point.sampling), ("teacher", point.teacher)):
            if sampling is not None:
                values.setdefault(section, {})["sampling"] = sampling
        return parse(values)

    def twin(self) -> Recipe:
        """The plain twin: the same data, teacher and loss, and nothing against a gap."""
        return self.recipe(PLAIN)

    def limited(self, point: Point) -> Point:
        """The point with what is not free left as the recipe has it; what does not matter is left out too."""
        point = replace(point, **{field.name: None for field in fields(Point) if field.name not in self.free})
        strategy, loss = point.strategy or self.base.strategy.name, point.loss or self.base.loss.name
        if strategy == "plain":
            point = replace(point, lam=None)
        if loss not in WEIGHTS:
            point = replace(point, weight=None)
        return replace(point, teacher=None) if loss == "none" else point

    def strategies(self) -> list[str]:
        """The strategies among which training is searched."""
        return [name for name in STRATEGY.classes if not post_hoc(name)]

    def losses(self) -> list[str]:
        """The losses that are tried: the recipe's own, and those that helped on measured data."""
        return list(dict.fromkeys((self.base.loss.name, *LOSSES)))

    def teacher_trains(self) -> bool:
        """Whether there is a teacher to train in another way."""
        from edgefair.models.factory import FROZEN_PREFIXES  # brings torch along

        teacher = self.base.teacher
        return bool(teacher.epochs) and not teacher.spec.startswith(FROZEN_PREFIXES)

    def suggest(self, trial: Suggest) -> Point:
        """The point that a trial of Optuna asks for."""

        def one_of(name: str, choices: list[str]) -> str | None:
            return trial.suggest_categorical(name, choices) if name in self.free and len(choices) > 1 else None

        strategy = one_of("strategy", self.strategies())
        named, lam = strategy or self.base.strategy.name, None
        if named != "plain" and "lam" in self.free:
            lam = _round(trial.suggest_float(f"lambda of {named}", *lambdas(named), log=True))
        loss = one_of("loss", self.losses())
        of, weight = loss or self.base.loss.name, None
        if of in WEIGHTS and "weight" in self.free:
            weight = _round(trial.suggest_float(f"weight of {of}", *WEIGHTS[of][1:], log=True))
        sampling = one_of("sampling", ["shuffle", FAIR, "cell"])
        teacher = one_of("teacher", ["shuffle", FAIR]) if self.teacher_trains() and of != "none" else None
        return self.limited(Point(strategy, lam, loss, weight, sampling, teacher))

    def parameters(self, point: Point) -> dict[str, Any]:
        """The same point as Optuna names it, for what is tried first."""
        strategy, loss = point.strategy or self.base.strategy.name, point.loss or self.base.loss.name
        named = {
            "strategy": strategy,
            f"lambda of {strategy}": point.lam,
            "loss": loss,
            f"weight of {loss}": point.weight or (1.0 if loss in WEIGHTS else None),
            "sampling": point.sampling or self.base.train.sampling,
            "teacher": point.teacher or self.base.teacher.sampling,
        }
        return {name: value for name, value in named.items() if value is not None}

    def first(self) -> list[Point]:
        """What is tried before anything adaptive: the plain twin, then what helped on measured data."""
        strategy, lam = self.base.strategy, self.base.strategy.lam
        if self.free == LAMBDA_ONLY:
            low, high = lambdas(strategy.name)
            grid = [low * (high / low) ** share for share in (0.5, 0.0, 1.0)]
            return [PLAIN, *(Point(lam=_round(value)) for value in grid)]
        own = [] if strategy.post_hoc else [Point(strategy=strategy.name, lam=lam)]
        wanted = [
            Point("lagrangian", lam=0.3, loss="ckd"),
            Point("plain", loss="ckd", sampling=FAIR, teacher=FAIR),
            Point("lagrangian", lam=0.3, loss="ckd", sampling=FAIR, teacher=FAIR),
            Point("plain", loss="none", sampling="cell"),
            Point("plain", loss="ckd", sampling="cell", teacher=FAIR),
            *own,
            Point("plain", loss="mfd", weight=1.0),
            Point("plain", loss="mfd", weight=0.1, sampling="cell", teacher=FAIR),
        ]
        limited = [self.limited(point if self.teacher_trains() else replace(point, teacher=None)) for point in wanted]
        return list(dict.fromkeys([PLAIN, *limited]))

    def finishing(self, trained: Point) -> Iterator[Point]:
        """What can be made of a student that was trained plain, without training again."""
        if "strategy" in self.free and trained.strategy == "plain":
            for name in STRATEGY.classes:
                if post_hoc(name):
                    for lam in (1.0, 0.5) if "lam" in self.free else (self.base.strategy.lam,):
                        yield replace(trained, strategy=name, lam=lam)


def post_hoc(strategy: str) -> bool:
    """Whether a strategy trains like plain and acts afterwards: it is tried on trained students, in seconds."""
    return STRATEGY.classes[strategy].post_hoc


def lambdas(strategy: str) -> tuple[float, float]:
    """The strengths of a strategy among which it is searched."""
    return LAMBDAS.get(strategy, OTHER_LAMBDAS)


def open_space(values: dict[str, Any], everything: bool = False) -> Space | None:
    """The space of a recipe whose `strategy.lam` or `strategy.name` is "auto"; None where nothing is left to search.

    values: nested values as given. everything: search whatever is not given, as `edgefair tune` does. A section of
    which a setting is given stays as it is, but for lambda; a named strategy with lambda auto leaves lambda alone open.
    """
    values = copy.deepcopy(values)
    section = values.setdefault("strategy", {})
    if not isinstance(section, dict):
        raise RecipeError(
            f"strategy: a section of settings is needed, as in strategy.name='plain' (given: {section!r})"
        )
    asked = {name for name in ("name", "lam") if section.get(name) == AUTO}
    if not asked and not everything:
        return None
    for name in asked:
        del section[name]
    given = flat(values)
    named = bool(section.keys() - {"lam"})
    if named:
        if "lam" in section:
            raise RecipeError(
                f"strategy '{section.get('name')}' and lambda {section['lam']} are given, so there is nothing to "
                "search: leave one of them out, or write --lambda auto or --strategy auto."
            )
        if section.get("name") == "plain":
            raise RecipeError("strategy plain has no strength: leave --strategy out, or write --strategy auto.")
        return Space(values, LAMBDA_ONLY)
    fixed = {
        "lam": "lam" in section,
        "loss": bool(values.get("loss", {}).keys() - {"temperature"}),
        "weight": bool(values.get("loss", {}).keys() - {"name", "temperature"}),
        "sampling": "train.sampling" in given,
        "teacher": "teacher.sampling" in given or "teacher.strategy" in given,
    }
    return Space(values, tuple(name for name in FULL if not fixed.get(name)))


def describe(point: Point, base: Recipe) -> str:
    """A point in words."""
    strategy, loss = point.strategy or base.strategy.name, point.loss or base.loss.name
    lam = base.strategy.lam if point.lam is None else point.lam
    parts = [
        f"loss {loss}" + (f" at {point.weight:g} of its weight" if point.weight not in (None, 1.0) else ""),
        strategy if strategy == "plain" else f"{strategy} with lambda {lam:g}",
    ]
    sampling, teacher = point.sampling or base.train.sampling, point.teacher or base.teacher.sampling
    parts += [f"rows drawn by {sampling}"] if sampling != "shuffle" else []
    parts += [f"teacher's rows drawn by {teacher}"] if teacher != "shuffle" and loss != "none" else []
    return ", ".join(parts)


def _round(value: float) -> float:
    return float(f"{value:.3g}")
