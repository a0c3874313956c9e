"""Train a small student with and without debiasing, from Python, and compare its fairness on rows it never saw.

    python examples/what_lambda_does.py [--rows 5000] [--epochs 5]

The data are rendered: in eight of ten training images of a shape its colour is of one family, so that a student learns
to lean on colour. They are small and easy here, so that networks of a minute have learned them. Printed for the teacher
and for the student at lambda 0 and 0.5: accuracy, and the mean recall gap between warm and cool shapes beside its noise
floor (the gap that is left when groups are dealt at random). One seed: an illustration, not a result.
"""

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # read by torch: waiting threads leave the cores to others

import torch

from edgefair.data import Examples, load_examples
from edgefair.log import Log
from edgefair.metrics import accuracy, confusion
from edgefair.recipe import parse
from edgefair.seeds import generator
from edgefair.significance import noise_floor
from edgefair.training.stages import distil_student, train_teacher
from edgefair.training.teacher import outputs


def describe(name: str, model, examples: Examples) -> None:
    """Print a model's accuracy, and its mean recall gap beside the noise floor, on the gate rows."""
    rows = examples.rows["gate"]
    predicted = outputs(model, examples.images, rows, torch.device("cpu")).logits.argmax(1).numpy()
    sizes = len(examples.class_names), len(examples.group_names)
    table = confusion(examples.labels[rows], predicted, examples.groups[rows], *sizes)  # [G, C, C]
    gap = noise_floor(table, "mean_abs_disparity", 500, generator(0, "noise floor"))
    points = f"{100 * gap.observed:5.1f} points (noise floor {100 * gap.mean:.1f})"
    print(f"{name:22} accuracy {accuracy(table):6.1%}   recall gap {points}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5000, help="training rows; two fifths as many to judge on")
    parser.add_argument("--epochs", type=int, default=5)
    args = parser.parse_args()

    rows = {"train_rows": args.rows, "meta_rows": 0, "gate_rows": max(20, args.rows // 5 * 2), "validation_rows": 200}
    easy = {"image_size": 24, "noise": 0.02, "texture_contrast": 0.2, "size_min": 0.6, "skew": 0.8}
    values = {
        "data": rows | easy,
        "teacher": {"spec": "cifar:resnet8", "epochs": args.epochs},
        "loss": {"name": "ckd"},
        "train": {"epochs": args.epochs},
    }
    log = Log(quiet=True)
    with tempfile.TemporaryDirectory() as folder:
        teacher = None
        for lam in (0.0, 0.5):
            recipe = parse({**values, "strategy": {"name": "adversarial", "lam": lam}})
            examples = load_examples(recipe.data, recipe.seed, log)
            if teacher is None:
                teacher, _ = train_teacher(recipe, examples, Path(folder), log)
                describe("teacher", teacher, examples)
            place = Path(folder) / f"lambda{lam:g}"
            place.mkdir()
            student, _, _ = distil_student(recipe, examples, teacher, place, log)
            describe(f"student, lambda {lam:g}", student, examples)


if __name__ == "__main__":
    main()
