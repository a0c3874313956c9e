"""MLPerf Tiny's image classifier on its own task: ResNet-8 on CIFAR-10, INT8, at the quality target of 85 % top-1.

    nice -n 5 python benchmarks/mlperf_tiny.py CIFAR10_FOLDER [--runs runs/mlperf-tiny] [--epochs 64] [--seconds 60]
        [--finish-in N]

The student learns from labels alone. A later start goes on from the last finished epoch. The last epoch is what is
judged, so no epoch was chosen. Claim: every INT8 file reaches 85 % on all 10,000 test images (MLPerf Tiny takes 200 of
them), each with percentiles of latency, MLPerf's early-stopping estimate of the 90th (one thread, single images), and
its size. MLPerf asks for 600 seconds of measurement; --seconds is what was taken.

Where time runs short, --finish-in lets the training end N epochs after the last finished one: the rest of the cosine is
passed through in these. The record says so, and a later start names the new number of --epochs.
"""

import argparse
import json
import os
from pathlib import Path

import common
import int8_files
import methods
import torch
from trials import WEIGHTS, Trials

from edgefair.data import Examples, load_examples
from edgefair.files import CHECKPOINT, write_json
from edgefair.latency.clocks import clocks
from edgefair.latency.measure import BenchTarget, Design, measure
from edgefair.latency.queries import Queries
from edgefair.latency.rules import Rules
from edgefair.log import Log
from edgefair.recipe import Recipe
from edgefair.runtimes import load_runtime
from edgefair.training.loop import load_checkpoint

NEEDED_PERCENT, SHORTENED = 85.0, "shortened.json"
TRAINING = {
    "student.spec": "cifar:resnet8",
    "loss.name": "none",
    "strategy.name": "plain",
    "train.optimizer": "sgd",
    "train.lr": 0.1,
    "train.batch_size": 128,
    "train.weight_decay": 2e-4,
    "train.warmup": 0.03,
    "train.augment": "crop-flip",
    "train.precision": "bf16",
    "train.select": "last",
}
ROWS = {"data.meta_share": 0.0, "data.validation_share": 0.02, "data.calibration_share": 0.01}


def settings(args: argparse.Namespace) -> dict:
    """The settings of the student, by dotted names."""
    base = {"seed": 0, "device": args.device, "data.name": "cifar10", "data.path": args.folder}
    return {**base, **ROWS, **TRAINING, "train.epochs": args.epochs}


def finish_in(args: argparse.Namespace, trials: Trials) -> None:
    """Give an unfinished training a shorter schedule, under the name of its new length, and note that in its folder."""
    before = trials.place("student", settings(args))
    stored = load_checkpoint(before / CHECKPOINT, torch.device("cpu"))
    if not stored or len(stored["history"]) + args.finish_in > args.epochs:
        raise SystemExit(f"{before} holds no training of {args.epochs} epochs that would be shortened.")
    change = {"planned_epochs": args.epochs, "after_epoch": len(stored["history"])}
    args.epochs = len(stored["history"]) + args.finish_in
    after = trials.place("student", settings(args))
    write_json(before / SHORTENED, [*shortened(before), change])
    before.rename(after)


def shortened(folder: Path) -> list[dict]:
    """When a training's schedule was shortened, and from what length."""
    return json.loads((folder / SHORTENED).read_text()) if (folder / SHORTENED).exists() else []


def judged(recipe: Recipe, examples: Examples, weights: Path, seconds: float) -> dict[str, dict]:
    """Figures of every file: accuracy, what INT8 changed, size and latency."""
    folder = weights.parent / "files"
    entries = int8_files.make(recipe, examples, weights, folder)
    labels = examples.labels[examples.rows["gate"]]
    classes = {name: int8_files.predicted(entry, folder, examples) for name, entry in entries.items()}
    figures = {}
    for name, entry in entries.items():
        figures[name] = {**int8_files.accuracy(labels, classes[name]), "bytes": entry.bytes, "sha256": entry.sha256}
        if entry.precision == "int8":
            figures[name] |= int8_files.change(labels, classes[f"{entry.target} fp32"], classes[name])
    return timed(entries, folder, examples, seconds, figures)


def timed(entries: dict, folder: Path, examples: Examples, seconds: float, figures: dict) -> dict:
    """The figures with latency of single test images, all files interleaved, and the first one a second time."""
    loaded = {n: BenchTarget(load_runtime(one.runtime, folder / one.file, 1)) for n, one in entries.items()}
    first = next(iter(entries))
    again = BenchTarget(load_runtime(entries[first].runtime, folder / entries[first].file, 1))
    against = {n: f"{one.target} fp32" for n, one in entries.items() if one.precision == "int8"}
    rules = Rules(seconds=seconds)
    queries = Queries(examples.images[examples.rows["gate"][:64]])
    found = measure(loaded, queries.call_of, [1], Design(rules, against, (first, again)))
    for one in (*loaded.values(), again):
        one.runtime.close()
    files = {name: {**row, "latency": found["artefacts"][name]["1"]} for name, row in figures.items()}
    return {"files": files, "control": found["control"]["1"], "rules": rules.to_dict(), "clocks": clocks()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="cifar-10-batches-py, or the folder that holds it")
    parser.add_argument("--runs", type=Path, default=Path("runs/mlperf-tiny"), help="for checkpoints and files")
    parser.add_argument("--epochs", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60, help="of latency for each file")
    parser.add_argument(
        "--finish-in", type=int, default=0, metavar="N", help="end N epochs after the last finished one"
    )
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    args = parser.parse_args()
    if args.device == "cpu":
        methods.one_thread()
    recipe = methods.recipe_of(settings(args))
    examples = load_examples(recipe.data, recipe.seed, methods.QUIET)
    trials = Trials(args.runs, Log())
    if args.finish_in:
        finish_in(args, trials)
    student, folder = trials.student(settings(args), examples, None)
    found = judged(recipe, examples, folder / WEIGHTS, args.seconds)
    worst = min(row["accuracy_percent"] for name, row in found["files"].items() if name.endswith("int8"))
    figures = {
        "n": 1,
        "seed": recipe.seed,
        "epochs": args.epochs,
        "schedule_shortened": shortened(folder),
        "settings": TRAINING,
        "parameters": sum(each.numel() for each in student.parameters()),
        "rows": {name: len(rows) for name, rows in examples.rows.items()},
        "claims": {"int8_accuracy_percent": {"needed": NEEDED_PERCENT, "value": worst, "met": worst >= NEEDED_PERCENT}},
        **found,
        "load_average_after": os.getloadavg(),
        "not_run_here": int8_files.targets()[1],
    }
    common.write(Path(__file__).stem.replace("_", "-"), figures)


if __name__ == "__main__":
    main()
