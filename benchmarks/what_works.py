"""What lowers a gap on faces, and what it costs: every strategy, sampling and fair teacher beside the plain twin.

    python benchmarks/what_works.py FAIRFACE_FOLDER --runs RUNS [--tasks gender-race age-gender trifeature]
        [--methods plain "lagrangian 0.2" ...] [--seeds 5] [--rows 9000] [--epochs 8] [--minutes 0]

Tasks: FairFace, gender by race as it is (14 cells of unequal size), and age in three buckets by gender with training
rows skewed to 0.9 (`data.skew`); the rendered default data. ResNet-20 teaches ResNet-8 at 32 px, bf16, the recipe's
defaults but for what a method's name says. Strengths are the defaults or were chosen on validation rows of FairFace,
gender by race, seed 0; gate rows chose nothing. Each figure is beside that of the plain student of the same seed; p
values are of paired t-tests of the mean gap above its noise floor, Holm's correction over the methods of a task.
Networks are kept in RUNS and not trained again; the result file is written after every network, seed by seed, so that
what is unfinished is balanced. --minutes: begin nothing after so many.
"""

import argparse
import json
import time
from pathlib import Path

import common
import methods
import numpy as np
from trials import Trials

from edgefair.data import load_examples
from edgefair.metrics.hypothesis_tests import holm, mean_test
from edgefair.runtimes.machine import describe_machine

NETWORKS = {"teacher.spec": "cifar:resnet20", "student.spec": "cifar:resnet8", "data.image_size": 32}
BF16 = {"train.precision": "bf16", "teacher.precision": "bf16"}
TASKS = {
    "gender-race": {"data.name": "fairface", "data.task": "gender", "data.group": "race"},
    "age-gender": {
        "data.name": "fairface",
        "data.task": "age",
        "data.group": "gender",
        "data.age_buckets": 3,
        "data.skew": 0.9,
    },
    "trifeature": {"data.name": "trifeature"},
}
CELL, FAIR = {"train.sampling": "cell"}, {"teacher.sampling": "cell"}
WITHIN = {"train.sampling": "within-class", "teacher.sampling": "within-class"}
PLAIN = {"loss.name": "ckd", "strategy.name": "plain"}
TWIN = "plain"


def _strategy(name: str, **settings: object) -> dict:
    return PLAIN | {"strategy.name": name} | {f"strategy.{key}": value for key, value in settings.items()}


METHODS = {
    TWIN: PLAIN,
    "lagrangian 0.2": _strategy("lagrangian", lam=0.2),
    "cell sampling": PLAIN | CELL,
    "cell sampling, fair teacher": PLAIN | CELL | FAIR,
    "within-class sampling, fair teacher": PLAIN | WITHIN,
    "lagrangian 0.2, within-class sampling, fair teacher": _strategy("lagrangian", lam=0.2) | WITHIN,
    "labels alone": PLAIN | {"loss.name": "none"},
    "labels alone, cell sampling": PLAIN | {"loss.name": "none"} | CELL,
    "lagrangian 0.2, cell sampling, fair teacher": _strategy("lagrangian", lam=0.2) | CELL | FAIR,
    "lagrangian 0.5": _strategy("lagrangian", lam=0.5),
    "adversarial": _strategy("adversarial", lam=0.5),
    "adversarial, as published": _strategy("adversarial", lam=0.5, estimate="batch"),
    "bird": _strategy("bird", lam=0.5),
    "bird, as published": _strategy("bird", lam=0.5, estimate="batch"),
    "intra": _strategy("intra", lam=1.0),
    "reweight": _strategy("reweight"),
    "group-dro": _strategy("group-dro"),
    "last-layer": _strategy("last-layer"),
    "afr": _strategy("afr"),
    "logit-adjust": _strategy("logit-adjust"),
    "mfd, as published": PLAIN | {"loss.name": "mfd"},
    "mfd, a tenth": PLAIN | {"loss.name": "mfd", "loss.mfd_weight": 0.3},
}


def recipe_of(args, task: str, seed: int, method: str) -> dict:
    """Dotted settings of one student."""
    faces = TASKS[task]["data.name"] == "fairface"
    data = {"data.path": args.folder, "data.max_rows": args.rows, "data.validation_share": 0.15} if faces else {}
    epochs = {"train.epochs": args.epochs, "teacher.epochs": args.epochs} if faces else {}
    lists = ("train", "meta", "validation", "calibration", "gate")
    small = {f"data.{name}_rows": args.rows for name in lists} if not faces and args.quick else {}
    return {"seed": seed} | NETWORKS | BF16 | TASKS[task] | data | epochs | small | METHODS[method]


def run(args, late) -> None:
    """Every student that there is time for, seed by seed."""
    trials, runs = Trials(args.runs, methods.QUIET), finished(args)
    for seed in range(args.seeds):
        for task in args.tasks:
            examples = None
            for method in args.methods or METHODS:
                rows = runs.setdefault(task, {}).setdefault(method, [])
                if any(row["seed"] == seed for row in rows):
                    continue
                if late():
                    return
                settings = recipe_of(args, task, seed, method)
                recipe = methods.recipe_of(settings)
                examples = examples or load_examples(recipe.data, seed, methods.QUIET)
                started = time.monotonic()
                teacher, _ = trials.teacher(settings, examples)
                if not any(row["seed"] == seed for row in runs[task].setdefault(teacher_name(settings), [])):
                    note(
                        args,
                        runs,
                        task,
                        teacher_name(settings),
                        seed,
                        methods.judge(teacher, examples, recipe),
                        started,
                    )
                started = time.monotonic()
                student, _ = trials.student(settings, examples, teacher)
                note(args, runs, task, method, seed, methods.judge(student, examples, recipe), started)


def teacher_name(settings: dict) -> str:
    """What the teacher's row is called."""
    sampling = settings.get("teacher.sampling")
    return f"teacher, {sampling} sampling" if sampling else "teacher"


def result(args) -> str:
    """One file a task, so that two processes can work at once."""
    return f"what-works-{args.tasks[0]}" if len(args.tasks) == 1 else "what-works"


def common_settings(args) -> dict:
    """What runs must have in common to stand in one file."""
    return {"rows_asked": args.rows, "epochs": args.epochs, "tasks": {task: TASKS[task] for task in args.tasks}}


def finished(args) -> dict:
    """The runs of the result file, where it was made with these settings: task -> method -> a row for each seed."""
    file = common.RESULTS / f"{result(args)}.json"
    stored = json.loads(file.read_text()) if file.exists() else {}
    same = all(stored.get(name) == value for name, value in common_settings(args).items())
    return stored["runs"] if stored and same else {}


def note(args, runs: dict, task: str, method: str, seed: int, judged: dict, started: float) -> None:
    """Print a finished network and write all of them."""
    above = {"above_floor": judged["deo_mean"] - judged["noise_floor"]}
    where = {"seconds": time.monotonic() - started, "date": common.today(), "machine": describe_machine()}
    runs[task][method].append({"seed": seed, **where, **judged, **above})
    print(f"{task} seed {seed} {methods.line(method, judged)}", flush=True)
    figures = {
        **common_settings(args),
        "summary": {name: {m: methods.summary(rows) for m, rows in of.items() if rows} for name, of in runs.items()},
        "against_plain": {name: against_plain(of) for name, of in runs.items()},
        "runs": runs,
    }
    common.record(result(args), figures)


def against_plain(of_task: dict[str, list[dict]]) -> dict[str, dict]:
    """Each method's change from the plain student of the same seed, in points, and what is left of the gap above floor.

    p: of the paired t-test of the gap above its floor, raw and after Holm's correction over the methods; None where
    there is one seed.
    """
    plain = {row["seed"]: row for row in of_task.get(TWIN, [])}
    changes, raw = {}, {}
    for method, rows in of_task.items():
        pairs = [(row, plain[row["seed"]]) for row in rows if row["seed"] in plain]
        if method == TWIN or not pairs:
            continue
        figures = ("accuracy", "deo_mean", "deo_max", "above_floor")
        changes[method] = methods.summary([{key: row[key] - base[key] for key in figures} for row, base in pairs])
        ours, theirs = (np.array([row["above_floor"] for row in side]) for side in zip(*pairs, strict=True))
        changes[method]["left_of_gap"] = float(ours.mean() / theirs.mean()) if theirs.mean() > 0 else None
        if len(pairs) > 1 and not method.startswith("teacher"):
            raw[method] = mean_test(ours, theirs, paired=True).p
    for method, adjusted in zip(raw, holm(list(raw.values())), strict=True):
        changes[method] |= {"p": raw[method], "p_holm": float(adjusted)}
    return changes


def options(about: str, runs: str) -> argparse.ArgumentParser:
    """What both studies of these tasks are asked for; about: their description, runs: what the folder RUNS holds."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="holds fairface_label_train.csv and fairface_label_val.csv")
    parser.add_argument("--runs", type=Path, required=True, help=f"folder of {runs}")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=9000, help="training images of FairFace before lists are drawn")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--quick", action="store_true", help="the default data in few rows too: does it run?")
    parser.add_argument("--minutes", type=float, default=0, help="begin nothing after this time; 0: no limit")
    return parser


def main() -> None:
    parser = options(__doc__, "trained networks")
    parser.add_argument("--methods", nargs="+", choices=METHODS, help="these first; all by default")
    args = parser.parse_args()
    methods.one_thread()
    started = time.monotonic()
    run(args, lambda: bool(args.minutes) and time.monotonic() - started > 60 * args.minutes)


if __name__ == "__main__":
    main()
