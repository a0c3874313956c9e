"""Successive halving over the space: every point trained for a third of the epochs, the best third of them in full.

What is tried after the fixed beginning comes from Optuna's TPE sampler by ask and tell. Nothing is kept but the trial
folders: a search that is started again asks for the same points in the same order and finds their results there.
"""

import time
from dataclasses import dataclass, replace

import numpy as np

from edgefair.errors import RecipeError, TrainingError, require
from edgefair.metrics.honest_choice import Objective, Scored
from edgefair.pipeline.tune.space import PLAIN, Point, Space, describe
from edgefair.pipeline.tune.trial import Bench, run_trial
from edgefair.pipeline.tune.words import collapse
from edgefair.predictions import Predictions
from edgefair.recipe import Recipe
from edgefair.seeds import derive

SHARE, KEPT = 3, 3  # a third of the epochs, a third of the trials
MOST_ASKED = 10  # times as many points as wanted: an adaptive search asks for the same ones again


@dataclass
class Arm:
    """A point with what its short and its full training made of the validation rows; `why` it is out, if it is."""

    point: Point
    recipe: Recipe
    short: Predictions | None = None
    full: Predictions | None = None
    why: str = ""
    source: int = 0  # the arm whose training this one has: its own place, unless it only finishes that one's student


class Search:
    """One search; `run` leaves its arms, the plain twin first, and how many of them were trained in full."""

    def __init__(self, space: Space, bench: Bench, objective: Objective, budget: float):
        self.space, self.bench, self.objective, self.budget = space, bench, objective, budget
        self.base = space.twin()
        self.epochs = self.base.train.epochs
        self.short_epochs = max(1, round(self.epochs / SHARE)) if self.epochs > 2 else self.epochs
        self.wanted, self.promoted = plan(budget, self.short_epochs / self.epochs)
        self.arms: list[Arm] = []

    def run(self) -> None:
        """Try the points, go on with the best, finish their students in every way."""
        self._first_rung()
        works = [place for place, arm in enumerate(self.arms) if arm.short is not None]
        scored = self.scored("short", works)
        best = [works[place] for place in self.promote(scored, slice(None))]
        for number, place in enumerate(best, start=1):
            arm = self.arms[place]
            if self.short_epochs == self.epochs:
                continue
            self._say(f"in full {number} of {len(best)}", arm.point, self.epochs)
            self._train(arm, "full", arm.recipe)
        for place in best:
            self._finish(place)

    def scored(self, rung: str, places: list[int]) -> Scored:
        """The arms at these places on one rung, to compare."""
        every = [getattr(self.arms[place], rung) for place in places]
        return Scored(every[0], [one.logits for one in every])

    def promote(self, scored: Scored, at: np.ndarray | slice) -> list[int]:
        """Places in `scored` of the plain twin and the best others on these rows.

        After a part of the epochs one standard error of accuracy is let pass.
        """
        rows = scored.right[:, at].shape[1]
        grace = scored.accuracy_error() * np.sqrt(scored.right.shape[1] / rows)
        scores = self.objective.scores(scored.accuracy(at), scored.gap(at), grace)
        others = [int(place) for place in np.argsort(scores, kind="stable") if place != 0]
        return [0, *others[: self.promoted]]

    def shortened(self, recipe: Recipe) -> Recipe:
        """The same recipe with a part of the epochs, and a whole schedule over them."""
        train = recipe.train.model_copy(update={"epochs": self.short_epochs})
        return recipe.model_copy(update={"train": train})

    def _first_rung(self) -> None:
        optuna = require("optuna", "tune", "a search for the recipe")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        first = self.space.first()
        sampler = optuna.samplers.TPESampler(seed=derive(self.base.seed, "tune") % 2**32, n_startup_trials=len(first))
        study = optuna.create_study(direction="minimize", sampler=sampler)
        for point in first[1:]:
            study.enqueue_trial(self.space.parameters(point))
        self._try(PLAIN)
        twin = self.arms[0]
        if twin.short is None:
            raise TrainingError(f"the plain twin, which everything is compared with, cannot be trained: {twin.why}.")
        for _ in range(MOST_ASKED * self.wanted):
            if len(self.arms) == self.wanted:
                break
            trial = study.ask()
            self._tell(study, trial, self._try(self.space.suggest(trial)))

    def _tell(self, study, trial, arm: Arm) -> None:
        from optuna.trial import TrialState

        if arm.short is None:
            study.tell(trial, state=TrialState.PRUNED)
            return
        scored = Scored(arm.short, [self.arms[0].short.logits, arm.short.logits])
        accuracy, gap = scored.accuracy(), scored.gap()
        value = gap[1]
        if self.objective.kind == "tradeoff":
            value = self.objective.scores(accuracy, gap)[1]
        else:
            trial.set_constraint("accuracy", float(accuracy[0] - accuracy[1] - self.objective.max_accuracy_loss))
        study.tell(trial, float(value) if np.isfinite(value) else 1.0)

    def _try(self, point: Point) -> Arm:
        """The arm of a point, trained for a part of the epochs unless the same recipe was tried already."""
        try:
            recipe = self.space.recipe(point)
        except RecipeError as error:
            return Arm(point, self.base, why=f"does not fit: {error}")
        known = next((arm for arm in self.arms if arm.recipe == recipe), None)
        if known is not None:
            return known
        arm = Arm(point, recipe, source=len(self.arms))
        self._say(f"trial {len(self.arms) + 1} of {self.wanted}", point, self.short_epochs)
        self.arms.append(arm)
        self._train(arm, "short", self.shortened(recipe))
        if self.short_epochs == self.epochs:
            arm.full = arm.short
        return arm

    def _train(self, arm: Arm, rung: str, recipe: Recipe) -> None:
        started = time.monotonic()
        self._take(arm, rung, run_trial(self.bench, recipe), started)

    def _finish(self, place: int) -> None:
        """Try what can be made of a student that was trained in full; it costs seconds."""
        trained = self.arms[place]
        for point in self.space.finishing(trained.point) if trained.full is not None else ():
            recipe = self.space.recipe(point)
            arm = Arm(point, recipe, source=place)
            self.arms.append(arm)
            started = time.monotonic()
            self.bench.log.line(f"finished without training again: {describe(point, self.base)}")
            self._take(arm, "full", run_trial(self.bench, recipe, trained.recipe), started)

    def _take(self, arm: Arm, rung: str, result: Predictions | str, started: float) -> None:
        """Note what came of a training, and say it."""
        if isinstance(result, str):
            arm.why = result
        else:
            setattr(arm, rung, result)
            twin = self.arms[0] if getattr(self.arms[0], rung) is not None else arm
            scored = Scored(result, [getattr(twin, rung).logits, result.logits])
            arm.why = collapse(scored, 1, whole=rung == "full" or self.short_epochs == self.epochs)
            self._say_figures(scored, arm, time.monotonic() - started)
        if arm.why:
            setattr(arm, rung, None)
            self.bench.log.line(f"  dropped: {arm.why}")

    def _say(self, which: str, point: Point, epochs: int) -> None:
        of = f"{epochs} of {self.epochs} epochs" if epochs < self.epochs else f"{epochs} epochs"
        name = "the plain twin: " if point == PLAIN else ""
        self.bench.log.line(f"{which}: {name}{describe(point, self.base)}; {of}")

    def _say_figures(self, scored: Scored, arm: Arm, seconds: float) -> None:
        accuracy, disparity, spread = (100 * one for one in (scored.accuracy(), scored.disparity(), scored.gap()))
        beside = (
            "" if arm is self.arms[0] else f" (plain twin {accuracy[0]:.1f} %, {disparity[0]:.1f}, {spread[0]:.1f})"
        )
        self.bench.log.line(
            f"  accuracy {accuracy[1]:.1f} %, gap {disparity[1]:.1f} points, spread between groups {spread[1]:.1f}"
            f"{beside}; {seconds:.0f} s"
        )


def plan(budget: float, share: float) -> tuple[int, int]:
    """How many points are tried, and how many others than the plain twin trained in full, for so many full trainings.

    share: what a short training costs of a full one. n * share + n / 3 + 1 <= budget; at least the twin and one other.
    """
    if share == 1:
        wanted = max(2, int(budget))
        return wanted, wanted - 1
    wanted = 2
    while (wanted + 1) * share + (wanted + 1) // KEPT + 1 <= budget + 1e-9:
        wanted += 1
    return wanted, max(1, wanted // KEPT)


def with_validation_share(space: Space) -> tuple[Space, list[str]]:
    """More validation rows where the user did not say how many: a choice among many needs them more than training."""
    data = space.values.get("data", {})
    if "validation_share" not in type(space.base.data).model_fields or "validation_share" in data:
        return space, []
    values = space.values | {"data": data | {"validation_share": 0.2}}
    note = (
        "20 % of the training rows are validation rows, twice as many as usual, where the data set names none: recipes "
        "are chosen by them (data.validation_share)."
    )
    return replace(space, values=values), [note]
