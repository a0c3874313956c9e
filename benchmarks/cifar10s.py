"""CIFAR-10S: the methods of paper B's table 3 with edgefair's code, beside the paper's numbers.

    python benchmarks/cifar10s.py CIFAR10_FOLDER [--full] [--seeds 3] [--epochs 12] [--rows 8000] [--device cpu]

--full is the paper's setting: ResNet-18 -> ResNet-18 (3x3 stem), all 50,000 images, 100 epochs, five seeds; it wants a
GPU. Without it the same code runs reduced: ResNet-20 -> ResNet-8, fewer images and epochs; such figures show directions
and are not comparable to the paper's. Gate rows: the test images in colour and in grey. Settings are the recipe's
defaults but for those below, taken from the paper where it gives them; nothing was chosen on gate rows.
"""

import argparse
from pathlib import Path

import common
import methods

from edgefair.data import load_examples

# Paper B, table 3: mean and standard deviation of five runs, in percent and points.
PAPER_FIGURES = ("auroc", "macro_f1", "deo_mean", "deo_max")
PAPER = {
    "baseline": ((98.91, 0.02), (88.34, 0.17), (26.26, 0.70), (47.94, 1.94)),
    "BKD": ((98.95, 0.02), (88.90, 0.13), (25.30, 0.63), (46.92, 2.16)),
    "FitNet": ((98.89, 0.01), (88.15, 0.08), (26.55, 0.66), (48.86, 1.85)),
    "AT": ((98.99, 0.02), (88.95, 0.12), (25.16, 0.33), (46.08, 2.27)),
    "AD": ((98.44, 0.11), (85.98, 0.43), (16.20, 1.18), (31.94, 3.89)),
    "MFD": ((98.93, 0.03), (88.32, 0.10), (27.27, 0.34), (49.16, 1.62)),
    "BIRD": ((99.12, 0.02), (89.45, 0.14), (19.77, 0.37), (38.26, 1.73)),
}
PLAIN = {"strategy.name": "plain"}
BKD = {"loss.name": "ckd", "loss.temperature": 10.0, "loss.alpha": 0.5}
VARIANTS = {
    "baseline": {"loss.name": "none", **PLAIN},
    "BKD": {**BKD, **PLAIN},
    "FitNet": {"loss.name": "fitnet", "loss.hint_stage": -1, "loss.hint_weight": 0.1, **PLAIN},
    "AT": {"loss.name": "at", **PLAIN},
    "AD": {**BKD, "strategy.name": "adversarial", "strategy.lam": 0.5},
    "MFD": {"loss.name": "mfd", **PLAIN},
    "BIRD": {"loss.name": "fitnet", "loss.hint_stage": -1, "strategy.name": "bird", "strategy.lam": 0.2},
}
REDUCED = {"teacher.spec": "cifar:resnet20", "student.spec": "cifar:resnet8"}
FULL = {"teacher.spec": "cifar:resnet18", "student.spec": "cifar:resnet18"}


def recipe_for(args, seed: int, change: dict):
    """The recipe of one method and seed."""
    base = {
        "seed": seed,
        "device": args.device,
        "data.name": "cifar10s",
        "data.path": args.folder,
        "data.max_rows": 0 if args.full else args.rows,
        "train.epochs": args.epochs,
        "teacher.epochs": args.epochs,
    }
    if change.get("strategy.name") == "bird":
        base["strategy.warmup_epochs"] = round(0.7 * args.epochs)  # the paper: 70 of 100
    return methods.recipe_of(base, FULL if args.full else REDUCED, change)


def run_seed(args, seed: int, runs: dict[str, list[dict]]) -> dict:
    """Teacher and every method of a seed; returns how many rows each list has."""
    recipe = recipe_for(args, seed, {})
    examples = load_examples(recipe.data, seed, methods.QUIET)
    teacher, seconds = methods.teacher_of(recipe, examples)
    runs["teacher"].append({"seed": seed, "seconds": seconds, **methods.judge(teacher, examples, recipe)})
    print(methods.line(f"seed {seed} teacher", runs["teacher"][-1]), flush=True)
    for name, change in VARIANTS.items():
        recipe = recipe_for(args, seed, change)
        student, seconds = methods.student_of(recipe, examples, teacher)
        runs[name].append({"seed": seed, "seconds": seconds, **methods.judge(student, examples, recipe)})
        print(methods.line(f"seed {seed} {name}", runs[name][-1]), flush=True)
    return {name: len(rows) for name, rows in examples.rows.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="cifar-10-batches-py, or the folder that holds it")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--rows", type=int, default=8000, help="training images of the reduced version")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    args = parser.parse_args()
    args.seeds = args.seeds or (5 if args.full else 3)
    args.epochs = args.epochs or (100 if args.full else 12)
    if args.device == "cpu":
        methods.one_thread()
    runs: dict[str, list[dict]] = {"teacher": [], **{name: [] for name in VARIANTS}}
    for seed in range(args.seeds):
        rows = run_seed(args, seed, runs)
        figures = {
            "reduced": not args.full,
            "seeds": seed + 1,
            "epochs": args.epochs,
            "rows": rows,
            **(FULL if args.full else REDUCED),
            "settings": VARIANTS,
            "paper_full_size": {name: dict(zip(PAPER_FIGURES, row, strict=True)) for name, row in PAPER.items()},
            "summary": {name: methods.summary(done) for name, done in runs.items()},
            "runs": runs,
        }
        common.write(Path(__file__).stem + ("" if args.full else "-reduced"), figures)


if __name__ == "__main__":
    main()
