"""Does `--lambda auto` find a recipe that halves the gap? The search on faces and on the default data, seed by seed.

    python benchmarks/auto_recipe.py FAIRFACE_FOLDER --runs RUNS [--tasks gender-race age-gender trifeature] [--seeds 5]
        [--rows 9000] [--epochs 8] [--budget 6] [--minutes 0]

Tasks and networks are those of what_works.py. Each search sees validation rows alone, at an allowed loss of 0.5 points
of accuracy; then the student that it ships and the plain twin, trained by the same search, are judged once on the gate
rows. The goal is a mean gap above its noise floor that is half of the plain twin's, at a loss of at most 0.5 points,
over the seeds, p < 0.05 by paired t-tests after Holm's correction over the tasks. Searches are kept in RUNS and gone on
with.
"""

import json
import time

import common
import methods
import numpy as np
import what_works

from edgefair.data import load_examples
from edgefair.metrics.honest_choice import Objective
from edgefair.metrics.hypothesis_tests import holm, mean_test
from edgefair.models import create
from edgefair.pipeline.tune.run import tune
from edgefair.pipeline.tune.search import with_validation_share
from edgefair.pipeline.tune.space import open_space
from edgefair.pipeline.tune.trial import Bench
from edgefair.recipe import assign
from edgefair.runtimes.machine import describe_machine

LOSS_OF_ACCURACY = 0.5  # points


def values_of(args, task: str, seed: int) -> dict:
    """Nested values of the recipe that a user would give: data, networks, length, and lambda auto."""
    values: dict = {}
    for name, value in what_works.recipe_of(args, task, seed, what_works.TWIN).items():
        if not name.startswith(("loss.", "strategy.", "data.validation_share")):
            assign(values, name, value)
    return values | {"strategy": {"lam": "auto"}}


def search(args, task: str, seed: int) -> dict:
    """One search, and what its student and the plain twin make of the gate rows."""
    space = open_space(values_of(args, task, seed))
    out = args.runs / f"{task}-{seed}"
    started = time.monotonic()
    recipe, record = tune(space, out, methods.QUIET, Objective("gap", LOSS_OF_ACCURACY / 100), args.budget)
    examples = load_examples(recipe.data, seed, methods.QUIET)
    shared, _ = with_validation_share(space)
    twin = Bench(examples, {}, out / "tune", out, methods.QUIET).place(shared.twin())
    judged = {}
    for name, folder in (("teacher", twin / "teacher"), ("plain", twin / "student"), ("chosen", out / "student")):
        file = folder / f"{folder.name}.safetensors"
        judged[name] = methods.judge(create(f"file:{file}", len(examples.class_names), 0), examples, recipe)
        judged[name]["above_floor"] = judged[name]["deo_mean"] - judged[name]["noise_floor"]
    return {
        "seed": seed,
        "seconds": time.monotonic() - started,
        "date": common.today(),
        "machine": describe_machine(),
        "helped": record["helped"],
        "sentence": record["sentence"],
        **judged,
    }


def summary(of_task: dict[str, list[dict]]) -> dict[str, dict]:
    """Over the seeds of each task: what is left of the gap above its floor, the change of accuracy, p, p by Holm."""
    made, raw = {}, {}
    for task, rows in of_task.items():
        sides = {
            side: np.array([[row[side][key] for key in ("above_floor", "accuracy")] for row in rows])
            for side in ("plain", "chosen")
        }
        above = sides["chosen"][:, 0], sides["plain"][:, 0]
        made[task] = {
            "n": len(rows),
            "helped": sum(row["helped"] for row in rows),
            "plain": methods.summary([row["plain"] for row in rows]),
            "chosen": methods.summary([row["chosen"] for row in rows]),
            "left_of_gap": float(above[0].mean() / above[1].mean()) if above[1].mean() > 0 else None,
            "accuracy_change": float((sides["chosen"] - sides["plain"])[:, 1].mean()),
        }
        if len(rows) > 1:
            raw[task] = mean_test(*above, paired=True).p
    for task, adjusted in zip(raw, holm(list(raw.values())), strict=True):
        figures = made[task]
        figures |= {"p": raw[task], "p_holm": float(adjusted)}
        figures["goal"] = bool(
            figures["left_of_gap"] is not None
            and figures["left_of_gap"] <= 0.5
            and figures["accuracy_change"] >= -LOSS_OF_ACCURACY
            and adjusted < 0.05
        )
    return made


def main() -> None:
    parser = what_works.options(__doc__, "searches")
    parser.add_argument("--budget", type=float, default=6.0)
    args = parser.parse_args()
    methods.one_thread()
    started = time.monotonic()
    asked = {"rows_asked": args.rows, "epochs": args.epochs, "budget": args.budget, "threads": 1}
    name = f"auto-recipe-{args.tasks[0]}" if len(args.tasks) == 1 else "auto-recipe"
    file = common.RESULTS / f"{name}.json"
    stored = json.loads(file.read_text()) if file.exists() else {}
    same = all(stored.get(key) == value for key, value in asked.items())
    runs = stored["runs"] if stored and same else {}
    for seed in range(args.seeds):
        for task in args.tasks:
            rows = runs.setdefault(task, [])
            if any(row["seed"] == seed for row in rows):
                continue
            if args.minutes and time.monotonic() - started > 60 * args.minutes:
                return
            rows.append(search(args, task, seed))
            print(f"{task} seed {seed}: {rows[-1]['sentence']}", flush=True)
            for side in ("teacher", "plain", "chosen"):
                print("  " + methods.line(side, rows[-1][side]), flush=True)
            done = {each: rows for each, rows in runs.items() if rows}
            common.record(name, {**asked, "summary": summary(done), "runs": done})


if __name__ == "__main__":
    main()
