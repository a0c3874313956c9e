"""Does a distilled student lose more by INT8 than the same student without a teacher? (lightly-train, issue 500.)

    nice -n 10 python benchmarks/distilled_int8.py CIFAR10_FOLDER [--runs runs/distilled-int8] [--seeds 3]
        [--rows 8000] [--teacher-epochs 12] [--epochs 10] [--losses none ckd rkd]

CIFAR-10; one ResNet-20 as teacher of ResNet-8 students, all from the same rows, a student from labels alone (`none`)
beside distilled ones of the same seed, data order and epochs. Judged are all 10,000 test images under every runtime
that is here: accuracy of INT8 less that of float, predictions that flip, and how much more both are for the distilled
student than for its twin, with an interval over rows (bootstrap of whole rows, seeds kept together). A later start goes
on where the last one ended; the record is written after every student and says how many seeds are finished.
"""

import argparse
from pathlib import Path

import common
import int8_files
import methods
import numpy as np
from trials import WEIGHTS, Trials, classes_of

from edgefair.data import Examples, load_examples
from edgefair.log import Log
from edgefair.seeds import generator

ALONE = "none"
TRAINING = {"optimizer": "sgd", "lr": 0.1, "batch_size": 128, "weight_decay": 5e-4, "augment": "crop-flip"}
TRAINING |= {"precision": "bf16", "select": "last"}
NETWORKS = {"teacher.spec": "cifar:resnet20", "student.spec": "cifar:resnet8", "strategy.name": "plain"}
ROWS = {"data.meta_share": 0.0, "data.validation_share": 0.02, "data.calibration_share": 0.02}
DRAWS = 2000


def settings(args: argparse.Namespace, seed: int, loss: str) -> dict:
    """The settings of a student and its teacher; the data and the teacher are those of seed 0 for all."""
    base = {"seed": seed, "device": args.device, "data.name": "cifar10", "data.path": args.folder}
    both = {f"{part}.{name}": value for part in ("teacher", "train") for name, value in TRAINING.items()}
    length = {"data.max_rows": args.rows, "teacher.epochs": args.teacher_epochs, "train.epochs": args.epochs}
    return {**base, **ROWS, **NETWORKS, **both, **length, "loss.name": loss}


def file_classes(settings: dict, examples: Examples, folder: Path) -> dict[str, np.ndarray]:
    """What float and INT8 files of a finished student say of the gate rows: name -> classes [N]."""

    def compute() -> dict[str, np.ndarray]:
        recipe = methods.recipe_of(settings)
        entries = int8_files.make(recipe, examples, folder / WEIGHTS, folder / "files")
        return {name: int8_files.predicted(one, folder / "files", examples) for name, one in entries.items()}

    return classes_of(folder, compute)


def row(labels: np.ndarray, classes: dict[str, np.ndarray]) -> dict:
    """Figures of one student: for every target the accuracy of both files, and what INT8 changed."""
    figures = {}
    for target in sorted({name.split()[0] for name in classes}):
        reference, candidate = classes[f"{target} fp32"], classes[f"{target} int8"]
        scores = {f"{kind}_accuracy_percent": 100 * float((classes[f"{target} {kind}"] == labels).mean())
                  for kind in int8_files.PRECISIONS}  # fmt: skip
        figures[target] = {**scores, **int8_files.change(labels, reference, candidate)}
    return figures


def beside_alone(labels: np.ndarray, distilled: list[dict], alone: list[dict], target: str) -> dict:
    """How much more INT8 changes the distilled students than their twins, in points: means over seeds and rows.

    distilled, alone: classes [N] of each file, one seed after the other. An interval of 95 % over rows: each draw takes
    N rows with replacement, the same for every student, so what is left out is the variation between seeds.
    """
    parts = {"accuracy_points": _lost, "flips_points": _flipped}
    found = {"seeds": len(distilled)}
    for name, part in parts.items():
        pairs = zip(distilled, alone, strict=True)
        each = np.stack([part(labels, one, target) - part(labels, other, target) for one, other in pairs])  # [S, N]
        low, high = interval(each.mean(0), generator(0, "benchmark", "rows"))
        by_seed = (100 * each.mean(1)).tolist()
        found[name] = {"mean": 100 * float(each.mean()), "interval": [100 * low, 100 * high], "by_seed": by_seed}
    return found


def interval(values: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """Bootstrap interval of 95 % of the mean of values [N]; few of them differ, so a draw is one of counts."""
    kinds, counts = np.unique(values, return_counts=True)
    means = rng.multinomial(len(values), counts / len(values), DRAWS) @ kinds / len(values)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def _lost(labels: np.ndarray, classes: dict, target: str) -> np.ndarray:
    """What INT8 loses on each row: 1 where only float was right, -1 where only INT8 is, else 0."""
    right = [(classes[f"{target} {kind}"] == labels).astype(float) for kind in int8_files.PRECISIONS]
    return right[0] - right[1]


def _flipped(labels: np.ndarray, classes: dict, target: str) -> np.ndarray:
    return (classes[f"{target} fp32"] != classes[f"{target} int8"]).astype(float)


def record(args: argparse.Namespace, examples: Examples, done: dict[str, dict[int, dict]]) -> None:
    """Write what is finished: done is loss -> seed -> classes of each file."""
    labels = examples.labels[examples.rows["gate"]]
    against = {}
    for loss, students in done.items():
        seeds = sorted(set(students) & set(done.get(ALONE, {})))
        if loss != ALONE and seeds:
            pairs = [students[seed] for seed in seeds], [done[ALONE][seed] for seed in seeds]
            targets = sorted({name.split()[0] for name in students[seeds[0]]})
            against |= {f"{loss}, {each}": beside_alone(labels, *pairs, each) for each in targets}
    finished = min(len(done.get(loss, {})) for loss in args.losses)
    figures = {
        "reduced": True,
        "seeds": finished,
        "seeds_wanted": args.seeds,
        "teacher_epochs": args.teacher_epochs,
        "epochs": args.epochs,
        **NETWORKS,
        "settings": TRAINING,
        "rows": {name: len(rows) for name, rows in examples.rows.items()},
        "int8_loses_more_than_alone": against,
        "runs": {
            loss: {f"seed {seed}": row(labels, each) for seed, each in students.items()}
            for loss, students in done.items()
        },
    }
    common.record(Path(__file__).stem.replace("_", "-"), figures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="cifar-10-batches-py, or the folder that holds it")
    parser.add_argument("--runs", type=Path, default=Path("runs/distilled-int8"), help="for checkpoints and files")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=8000, help="training images, and as many gate images at most")
    parser.add_argument("--teacher-epochs", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--losses", nargs="+", default=[ALONE, "ckd", "rkd"])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    args = parser.parse_args()
    if args.device == "cpu":
        methods.one_thread()
    first = settings(args, 0, ALONE)
    examples = load_examples(methods.recipe_of(first).data, 0, methods.QUIET)
    trials = Trials(args.runs, Log())
    teacher, _ = trials.teacher(first, examples)
    done: dict[str, dict[int, dict]] = {loss: {} for loss in args.losses}
    for seed in range(args.seeds):
        for loss in args.losses:
            own = settings(args, seed, loss)
            _, folder = trials.student(own, examples, None if loss == ALONE else teacher)
            done[loss][seed] = file_classes(own, examples, folder)
            record(args, examples, done)


if __name__ == "__main__":
    main()
