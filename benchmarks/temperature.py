"""What the temperature of distillation does to classes and to groups (Mohammadshahi and Ioannou, paper C).

    nice -n 10 python benchmarks/temperature.py --data cifar10=FOLDER trifeature celeba[=FOLDER] [--reduced]
        [--seeds 5] [--temperatures 1 2 .. 20] [--runs runs/temperature] [--device cpu]

For every data set and seed: a teacher, the student from labels alone, and the student by classical distillation at each
temperature. Found are the classes whose share of the model's accuracy differs by Welch's test over seeds at 0.05, raw
and after Holm's correction, between the student alone and the distilled one and between teacher and distilled student
(figures 2 and 3); demographic parity and equalized odds difference where there are groups (figure 4); and which classes
teacher and student disagree on (figure 1). Any data set with a reader can be named; `celeba` without a folder draws
faces in its layout.

ResNet-56 to ResNet-20 and all rows, as in the paper; --reduced takes ResNet-20 to ResNet-8, few rows and epochs, five
temperatures and three seeds: such figures show directions. The paper does not give the weight of the soft targets: it
is the recipe's 0.9. A later start goes on where the last one ended; the record is written after every network and says
how many seeds are finished.
"""

import argparse
from pathlib import Path

import cartoon_faces
import common
import methods
import temperature_plot
import temperature_summary
from trials import Trials, classes_of

from edgefair.data import Examples, load_examples
from edgefair.files import write_bytes
from edgefair.log import Log
from edgefair.training.stages import training_device
from edgefair.training.teacher import outputs

ALONE, TEACHER = "alone", "teacher"
DATA = {  # what a data set needs beside its name; `reduced` on top of it
    "trifeature": {"reduced": {"data.train_rows": 4000, "data.gate_rows": 4000, "data.validation_rows": 500}},
    "celeba": {"data.task": "Smiling", "data.group": "Young", "reduced": {"data.image_size": 32}},
}
STORED = {"reduced": {"data.max_rows": 5000}}  # of any other data set
SHARES = {"data.meta_share": 0.02, "data.validation_share": 0.05, "data.calibration_share": 0.02}
NETWORKS = {
    False: {"teacher.spec": "cifar:resnet56", "student.spec": "cifar:resnet20"},
    True: {"teacher.spec": "cifar:resnet20", "student.spec": "cifar:resnet8"},
}
# Without augmentation the teacher's outputs are computed once: a student costs a third.
TRAINING = {
    False: {"epochs": 100, "augment": "crop-flip", "batch_size": 128},
    True: {"epochs": 8, "augment": "none", "batch_size": 64},
}
SOFT_TARGETS = {"loss.name": "ckd", "loss.alpha": 0.9}
OPTIMIZER = {"optimizer": "sgd", "lr": 0.1, "weight_decay": 5e-4, "select": "last"}


def training(args: argparse.Namespace) -> dict:
    """How teacher and students are trained."""
    return TRAINING[args.reduced] | OPTIMIZER | {"epochs": args.epochs, "precision": args.precision}


def settings(args: argparse.Namespace, name: str, path: str, seed: int, temperature: float | None) -> dict:
    """The settings of one student and its teacher; without a temperature the student learns from labels alone."""
    own = dict(DATA.get(name, STORED))
    fewer = own.pop("reduced", {})
    both = {f"{part}.{key}": value for part in ("teacher", "train") for key, value in training(args).items()}
    stored = SHARES if path else {}
    if name == "celeba":  # which has splits of its own
        stored = {"data.meta_share": 0.02, "data.calibration_share": 0.02}
    base = {"seed": seed, "device": args.device, "data.name": name, **({"data.path": path} if path else {}), **stored}
    loss = {"loss.name": "none"} if temperature is None else SOFT_TARGETS | {"loss.temperature": temperature}
    return {**base, **own, **(fewer if args.reduced else {}), **NETWORKS[args.reduced], **both, **loss,
            "strategy.name": "plain"}  # fmt: skip


def predictions(args, name: str, path: str, seed: int, trials: Trials, note) -> None:
    """Train what a seed lacks, and give `note` the classes of every network on the gate rows."""
    alone = settings(args, name, path, seed, None)
    examples = load_examples(methods.recipe_of(alone).data, seed, methods.QUIET)
    recipe = methods.recipe_of(alone)

    def judged(model, folder: Path):
        def compute():
            rows = outputs(model, examples.images, examples.rows["gate"], training_device(recipe))
            return {"classes": rows.logits.numpy().argmax(1)}

        return classes_of(folder, compute)["classes"]

    teacher, folder = trials.teacher(alone, examples)
    note(examples, TEACHER, judged(teacher, folder))
    for temperature in (None, *args.temperatures):
        own = settings(args, name, path, seed, temperature)
        student, folder = trials.student(own, examples, None if temperature is None else teacher)
        note(examples, ALONE if temperature is None else f"T {temperature:g}", judged(student, folder))


def named(text: str) -> tuple[str, str]:
    """NAME or NAME=FOLDER of --data."""
    name, _, path = text.partition("=")
    return name, path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", type=named, default=[("trifeature", "")], metavar="NAME[=FOLDER]")
    parser.add_argument("--reduced", action="store_true")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--temperatures", nargs="+", type=float)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--faces", type=int, default=5000, help="drawn where celeba has no folder")
    parser.add_argument("--runs", type=Path, default=Path("runs/temperature"), help="for checkpoints and weights")
    parser.add_argument(
        "--precision", default="bf16", choices=["bf16", "fp32"], help="fp32 on a processor without bf16"
    )
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    args = parser.parse_args()
    args.seeds = args.seeds or (3 if args.reduced else 5)
    args.epochs = args.epochs or TRAINING[args.reduced]["epochs"]
    args.temperatures = args.temperatures or ([1, 2, 4, 8, 16] if args.reduced else list(range(1, 21)))
    if args.device == "cpu":
        methods.one_thread()
    trials, found = Trials(args.runs, Log()), temperature_summary.Found()
    for seed in range(args.seeds):
        for name, path in args.data:
            if name == "celeba" and not path:
                path = str(cartoon_faces.write(args.runs / f"faces-{args.faces}", args.faces))

            def note(examples: Examples, network: str, classes, name=name, seed=seed) -> None:
                found.add(name, network, seed, examples, classes)
                record(args, found)

            predictions(args, name, path, seed, trials, note)


def record(args: argparse.Namespace, found: temperature_summary.Found) -> None:
    """Write what is finished."""
    figures = {
        "reduced": args.reduced,
        "seeds_wanted": args.seeds,
        **NETWORKS[args.reduced],
        "training": training(args),
        "loss": SOFT_TARGETS,
        "data": {name: found.figures(name) for name in found.data},
    }
    name = Path(__file__).stem + ("-reduced" if args.reduced else "")
    common.record(name, figures)
    write_bytes(common.RESULTS / f"{name}.svg", temperature_plot.draw(figures["data"]).encode())


if __name__ == "__main__":
    main()
