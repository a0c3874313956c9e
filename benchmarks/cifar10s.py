"""CIFAR-10S: the methods of paper B's table 3 with edgefair's code, beside the paper's numbers.

    python benchmarks/cifar10s.py CIFAR10_FOLDER [--medium | --full] [--seeds 3] [--epochs 12] [--rows 8000]
        [--runs sweeps/cifar10s-SIZE] [--precision fp32] [--device cpu]

--full is the paper's setting: ResNet-18 -> ResNet-18 (3x3 stem), all 50,000 images, 100 epochs, five seeds; it wants a
GPU. --medium is for machines without one: ResNet-20 -> ResNet-8, 20,000 images, 24 epochs, three seeds, some hours of
a core for each seed. Without either the same code runs reduced, with fewer images and epochs. Only --full can be
compared with the paper; the others show directions. Gate rows: the test images in colour and in grey. Settings are the
recipe's defaults but for those below, taken from the paper where it gives them; nothing was chosen on gate rows.

Methods and seeds are the cells of a sweep in the folder --runs, each a run folder of its own, with the teacher of its
seed shared: a later start goes on where the last one ended, at most an unfinished epoch behind. The record is written
after every cell and says how many seeds are finished. `edgefair sweep RUNS/grid.toml --out RUNS` works off the same
cells several at a time, and `edgefair frontier RUNS` draws them.
"""

import argparse
import itertools
from pathlib import Path

import common
import methods

from edgefair.errors import EdgefairError
from edgefair.log import Log
from edgefair.pipeline.sweep.cell import run_cell
from edgefair.pipeline.sweep.folder import SweepFolder
from edgefair.pipeline.sweep.grid import Grid, expand
from edgefair.predictions import Predictions

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
PUBLISHED = {"strategy.estimate": "batch"}  # the strategies as the paper has them
VARIANTS = {
    "baseline": {"loss.name": "none", **PLAIN},
    "BKD": {**BKD, **PLAIN},
    "FitNet": {"loss.name": "fitnet", "loss.hint_stage": -1, "loss.hint_weight": 0.1, **PLAIN},
    "AT": {"loss.name": "at", **PLAIN},
    "AD": {**BKD, "strategy.name": "adversarial", "strategy.lam": 0.5, **PUBLISHED},
    "MFD": {"loss.name": "mfd", **PLAIN},
    "BIRD": {"loss.name": "fitnet", "loss.hint_stage": -1, "strategy.name": "bird", "strategy.lam": 0.2, **PUBLISHED},
}
SMALL = {"teacher.spec": "cifar:resnet20", "student.spec": "cifar:resnet8"}
LARGE = {"teacher.spec": "cifar:resnet18", "student.spec": "cifar:resnet18"}
SIZES = {  # networks, and what holds unless it is given: seeds, epochs, training images (0: all)
    "reduced": (SMALL, 3, 12, 8000),
    "medium": (SMALL, 3, 24, 20000),
    "full": (LARGE, 5, 100, 0),
}


def grid_of(args: argparse.Namespace) -> Grid:
    """The cells: every method of the first seed, then of the next."""
    base = {
        **SIZES[args.size][0],
        "device": args.device,
        "data.name": "cifar10s",
        "data.path": args.folder,
        "data.max_rows": args.rows,
        "deploy.targets": ["ort-cpu"],
    }
    both = {"epochs": args.epochs} | ({"precision": args.precision} if args.precision else {})
    base |= {f"{part}.{name}": value for part in ("train", "teacher") for name, value in both.items()}
    warmup = {"strategy.warmup_epochs": round(0.7 * args.epochs)}  # the paper: 70 of 100
    ways = [change | (warmup if change.get("strategy.name") == "bird" else {}) for change in VARIANTS.values()]
    return expand({"base": base, "grid": {"seed": list(range(args.seeds)), "method": ways}})


def work_off(args: argparse.Namespace, sweep: SweepFolder) -> None:
    """Run every cell that is not finished, and write the record after each."""
    sweep.write_grid()
    runs: dict[str, list[dict]] = {"teacher": [], **{name: [] for name in VARIANTS}}
    for cell, name in zip(sweep.grid.cells, itertools.cycle(VARIANTS), strict=False):
        try:
            report = run_cell(sweep, cell, Log())
        except EdgefairError as error:  # a method that diverges is missing in the record
            print(f"seed {cell.recipe.seed} {name}: {error}", flush=True)
            continue
        predictions = sweep.run(cell) / "predictions"
        runs[name].append(judged(predictions / "student.npz", cell.recipe.seed))
        print(methods.line(f"seed {cell.recipe.seed} {name}", runs[name][-1]), flush=True)
        if all(row["seed"] != cell.recipe.seed for row in runs["teacher"]):
            runs["teacher"].append(judged(predictions / "teacher.npz", cell.recipe.seed))
        record(args, runs, report["data"]["rows"])


def judged(file: Path, seed: int) -> dict:
    """The figures of what a network said of the gate rows."""
    said = Predictions.load(file)
    return {"seed": seed, **methods.figures(said.logits, said.labels, said.groups, said.shape, seed)}


def record(args: argparse.Namespace, runs: dict[str, list[dict]], rows: dict[str, int]) -> None:
    """Write what is finished."""
    figures = {
        "reduced": args.size != "full",
        "seeds": min(len(done) for done in runs.values()),
        "seeds_wanted": args.seeds,
        "epochs": args.epochs,
        "rows": rows,
        **SIZES[args.size][0],
        "settings": VARIANTS,
        "paper_full_size": {name: dict(zip(PAPER_FIGURES, row, strict=True)) for name, row in PAPER.items()},
        "summary": {name: methods.summary(done) for name, done in runs.items() if done},
        "runs": runs,
    }
    common.record(Path(__file__).stem + ("" if args.size == "full" else f"-{args.size}"), figures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="cifar-10-batches-py, or the folder that holds it")
    size = parser.add_mutually_exclusive_group()
    for name in ("medium", "full"):
        size.add_argument(f"--{name}", dest="size", action="store_const", const=name, default="reduced")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--rows", type=int, help="training images, and as many gate rows at most")
    parser.add_argument("--runs", type=Path, help="folder of the sweep")
    parser.add_argument("--precision", choices=["fp32", "bf16"], help="bf16 is the default on a GPU")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    args = parser.parse_args()
    _, seeds, epochs, rows = SIZES[args.size]
    args.seeds, args.epochs = args.seeds or seeds, args.epochs or epochs
    args.rows = rows if args.rows is None else args.rows
    if args.device == "cpu":
        methods.one_thread()
    work_off(args, SweepFolder(args.runs or Path("sweeps") / f"cifar10s-{args.size}", grid_of(args)))


if __name__ == "__main__":
    main()
