"""The whole search: arms, the honest choice between them, tune.json, and the winner as a run folder."""

import os
from pathlib import Path

import numpy as np

from edgefair import __version__
from edgefair.errors import RecipeError, RunFolderError
from edgefair.files import flat, write_record
from edgefair.log import Log
from edgefair.metrics.honest_choice import Honest, Objective, Scored, honest_choice
from edgefair.pipeline.job import load
from edgefair.pipeline.tune.search import Arm, Search, with_validation_share
from edgefair.pipeline.tune.space import Space, describe
from edgefair.pipeline.tune.trial import Bench, adopt
from edgefair.pipeline.tune.words import dropped, finding, objective_in_words
from edgefair.pipeline.tune_record import FOLDER, RECORD_FILE, TuneRecord, read_tuning
from edgefair.recipe import Recipe
from edgefair.seeds import generator

DRAWS = 200  # random splits, each used both ways


def tune(
    space: Space, out: Path, log: Log, objective: Objective, budget: float, teachers: Path | None = None
) -> tuple[Recipe, dict]:
    """Search, leave `out` as a run folder of the chosen recipe whose student is trained, and say what was found.

    budget: what may be spent, in full trainings of a student; teachers come on top, kept in
    `teachers` or else below OUT. Returns the recipe and the record
    of OUT/tune/tune.json. Raises RecipeError where there is nothing to search.
    """
    _check_new(out)
    space, notes = with_validation_share(space)
    base = space.twin()
    _check(base, space)
    examples = load(base, log)
    if len(examples.group_names) < 2:
        raise RecipeError(f"the data set '{base.data.name}' declares no groups, so there is no gap to lower.")
    for note in notes:
        log.line(note)
    bench = Bench(examples, examples.describe(), out / FOLDER, teachers or out / FOLDER / "teachers", log)
    with _alone(bench.folder):
        search = Search(space, bench, objective, budget)
        log.line(
            f"search: {objective_in_words(objective)}; {search.wanted} recipes, {search.short_epochs} epochs first"
        )
        search.run()
        record, chosen = _choose(search, notes, log)
        write_record(bench.folder / RECORD_FILE, TuneRecord, record)
    log.line(record["sentence"])
    adopt(bench, chosen.recipe, out)
    return chosen.recipe, read_tuning(out)


def _check_new(out: Path) -> None:
    """Refuse a run folder that no search made, before the search."""
    if (out / "recipe.toml").exists() and not (out / FOLDER).exists():
        raise RunFolderError(
            f"{out} is a run folder whose recipe was given; a search would choose another. Choose a new folder with "
            "--out, or leave auto out to go on with it."
        )


def _check(base: Recipe, space: Space) -> None:
    from edgefair.training.stages import training_device

    training_device(base)
    if not base.train.epochs:
        raise RecipeError("train.epochs is 0, so there is no training to search; give it epochs.")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise RecipeError("a search runs in one process: start it without torchrun.")


def _alone(folder: Path):
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / ".lock").acquire(timeout=0)
    except Timeout:
        raise RunFolderError(
            f"another process searches in {folder.parent}. Wait for it, or choose another folder."
        ) from None
    except OSError as error:
        raise RunFolderError(f"cannot write {folder}: {error.strerror}. Choose another folder with --out.") from None


def _choose(search: Search, notes: list[str], log: Log) -> tuple[dict, Arm]:
    """The record of the search, and the arm that is shipped: the best, or the plain twin where nothing is shown."""
    arms = search.arms
    short, full = ([k for k, arm in enumerate(arms) if getattr(arm, rung) is not None] for rung in ("short", "full"))
    first, last = search.scored("short", short), search.scored("full", full)
    rng = generator(search.base.seed, "tune", "halves")

    def choose(at: np.ndarray | slice) -> int:
        """The best on these rows among those that these rows would have let through the first rung, if they are any.

        Who came through was chosen by all rows; this charges for that. Where none but the twin is left, all are asked.
        """
        through = {short[k] for k in search.promote(first, at)} - {0}
        scores = search.objective.scores(last.accuracy(at), last.gap(at))
        allowed = np.array([arms[place].source in through | {0} for place in full])
        if not any(arms[place].source in through for place in full):
            allowed[:] = True
        return int(np.where(allowed, np.nan_to_num(scores, nan=np.inf), np.inf).argmin())

    best = choose(slice(None))
    honest = honest_choice(last, choose, DRAWS, rng)
    helped = best != 0 and honest.shows_less(search.objective)
    chosen = full[best] if helped else 0
    smaller = {rung: _smaller(scored, rng) for rung, scored in (("short", first), ("full", last))}
    for rung, places, scored in (("short", short, first), ("full", full, last)):
        grace = scored.accuracy_error() if rung == "short" else np.zeros(len(places))
        for k, place in enumerate(places):
            if place not in (0, chosen) and (rung == "full" or arms[place].full is None) and not arms[place].why:
                arms[place].why = dropped(search.objective, scored, k, smaller[rung][k], grace[k])
    what = describe(arms[full[best]].point, search.base) if best else ""
    sentence = finding(search.objective, honest, what, helped)
    rows = [_trial(search, place, place == chosen, rng) for place in range(len(arms))]
    return {
        "schema": 1,
        "edgefair": __version__,
        "objective": {
            "kind": search.objective.kind,
            "max_accuracy_loss": search.objective.max_accuracy_loss,
            "lam": search.objective.lam,
            "sentence": objective_in_words(search.objective),
        },
        "seed": search.base.seed,
        "validation_rows": len(first.rows.ids),
        "budget": float(search.budget),
        "notes": notes,
        "trials": rows,
        "honest": _honest(honest),
        "helped": helped,
        "sentence": sentence,
        "chosen": chosen,
        "recipe_sha256": arms[chosen].recipe.hash,
    }, arms[chosen]


def _smaller(scored: Scored, rng: np.random.Generator) -> list[float]:
    """For each model the share of random halves of the rows in which its gap is below the first model's."""
    from edgefair.metrics.honest_choice import halves

    wins = [scored.squared(at) < scored.squared(at)[0] for pair in halves(scored.rows, 50, rng) for at in pair]
    return np.mean(wins, axis=0).tolist()


def _honest(honest: Honest) -> dict:
    names = ("disparity", "disparity_high", "accuracy", "smaller")
    return {name: getattr(honest, name) for name in names} | {"halves": 2 * DRAWS}


def _trial(search: Search, place: int, chosen: bool, rng: np.random.Generator) -> dict:
    arm, base = search.arms[place], flat(search.base.model_dump(mode="json"))
    settings = {k: v for k, v in flat(arm.recipe.model_dump(mode="json")).items() if base.get(k, "") != v}
    outcome = "chosen" if chosen else "baseline" if place == 0 else "dropped"
    short_recipe = search.shortened(arm.recipe)
    return {
        "what": describe(arm.point, search.base),
        "settings": settings,
        "short": _figures(search, arm.short, short_recipe, rng) if search.short_epochs < search.epochs else None,
        "full": _figures(search, arm.full, arm.recipe, rng),
        "outcome": outcome,
        "why": "" if outcome != "dropped" else arm.why,
    }


def _figures(search: Search, predictions, recipe: Recipe, rng: np.random.Generator) -> dict | None:
    if predictions is None:
        return None
    scored = Scored(predictions, [predictions.logits])
    return {
        "folder": search.bench.place(recipe).name,
        "epochs": recipe.train.epochs,
        "accuracy": scored.accuracy()[0],
        "disparity": scored.disparity()[0],
        "floor": scored.floor(0, 200, rng),
        "spread": scored.gap()[0],
    }
