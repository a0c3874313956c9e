"""What every loss and every strategy does on the default data: accuracy and disparity of the student.

    python benchmarks/trifeature.py [--seeds 3] [--jobs 1] [--lambda 0.5] [--epochs 8] [--only NAME ...]

Teacher, undistilled student, every loss without debiasing, and every strategy with one loss; default settings, 8,000
training rows of which 92 % show their shape's own colour family, 8,000 balanced gate rows. Nothing was chosen on gate
rows: settings are the recipe's defaults.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import common
import methods

from edgefair.data import load_examples
from edgefair.losses import LOSSES
from edgefair.recipe import assignment
from edgefair.strategies import STRATEGIES

PAIRED_LOSS = {"adversarial": "rkd", "intra": "rkd", "bird": "rkd"}


def variants(lam: float) -> dict[str, dict]:
    """Name -> settings; the undistilled student is the loss `none`."""
    plain = {f"{loss}, plain": {"loss.name": loss, "strategy.name": "plain"} for loss in LOSSES}
    fair = {
        f"{PAIRED_LOSS[name]}, {name}": {"loss.name": PAIRED_LOSS[name], "strategy.name": name, "strategy.lam": lam}
        for name in STRATEGIES
        if name != "plain"
    }
    without = {"loss.name": "none", "strategy.name": "adversarial", "strategy.lam": lam}
    ablation = {"loss.name": "rkd", "strategy.name": "bird", "strategy.lam": lam, "strategy.meta": False}
    return {**plain, **fair, "rkd, bird without meta": ablation, "none, adversarial": without}


def run_seed(args: argparse.Namespace, seed: int) -> dict[str, dict]:
    """Teacher and every variant of one seed, judged: name -> figures."""
    methods.one_thread()
    base = {"seed": seed, "train.epochs": args.epochs}
    recipe = methods.recipe_of(base)
    examples = load_examples(recipe.data, seed, methods.QUIET)
    teacher, seconds = methods.teacher_of(recipe, examples)
    done = {"teacher": {"seed": seed, "seconds": seconds, **methods.judge(teacher, examples, recipe, args.rows)}}
    print(methods.line(f"seed {seed} teacher", done["teacher"]), flush=True)
    for name, change in variants(args.lam).items():
        if not args.only or name in args.only:
            recipe = methods.recipe_of(base, change, dict(assignment(text) for text in args.settings))
            student, seconds = methods.student_of(recipe, examples, teacher)
            done[name] = {"seed": seed, "seconds": seconds, **methods.judge(student, examples, recipe, args.rows)}
            print(methods.line(f"seed {seed} {name}", done[name]), flush=True)
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1, help="seeds that run side by side, one thread each")
    parser.add_argument("--lambda", dest="lam", type=float, default=0.5)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--only", nargs="*", help="names of variants; nothing is written then")
    parser.add_argument("--set", dest="settings", nargs="*", default=[], metavar="NAME=VALUE")
    parser.add_argument("--rows", default="gate", choices=["gate", "validation"])
    args = parser.parse_args()
    with ProcessPoolExecutor(args.jobs, mp_context=get_context("spawn")) as pool:
        seeds = list(pool.map(partial(run_seed, args), range(args.seeds)))
    if args.only:
        return
    runs = {name: [done[name] for done in seeds] for name in seeds[0]}
    figures = {
        "seeds": args.seeds,
        "lambda": args.lam,
        "epochs": args.epochs,
        "train_rows": 8000,
        "gate_rows": 8000,
        "teacher_network": "cifar:resnet20",
        "student_network": "cifar:resnet8",
        "summary": {name: methods.summary(rows) for name, rows in runs.items()},
        "runs": runs,
    }
    common.write(Path(__file__).stem, figures)


if __name__ == "__main__":
    main()
