"""What every process of `torchrun` does in test_parallel.py: train the same students; the first saves them."""

import sys
from pathlib import Path

import torch

from edgefair.data import load_examples
from edgefair.log import Log
from edgefair.models import create, save_weights
from edgefair.models.parallel import this_process
from edgefair.pipeline import job as pipeline
from edgefair.pipeline import launch
from edgefair.recipe import Recipe
from edgefair.training.stages import distil_student, train_teacher
from tests.helpers.recipes import tiny

QUIET = Log(quiet=True)
SMALL = {"data__train_rows": 101, "data__image_size": 16, "train__batch_size": 40, "teacher__batch_size": 40}
CASES = {
    "plain": {"strategy__name": "plain", "loss__name": "rkd", "train__accumulate": 2},
    "adversarial": {"strategy__name": "adversarial", "loss__name": "mfd", "strategy__form": "projection"},
    "bird": {"strategy__name": "bird", "loss__name": "fitnet", "strategy__warmup_epochs": 0},
}


def recipe_of(case: str) -> Recipe:
    """Two epochs of three batches, the last of 21 rows, which two processes cannot halve."""
    return tiny(**SMALL, **CASES[case], train__lr=0.02, teacher__lr=0.02, train__ema=0.5)


def train(case: str, folder: Path) -> dict[str, torch.Tensor]:
    """A student of an untrained teacher in this process and its fellows."""
    recipe = recipe_of(case)
    examples = load_examples(recipe.data, 0, QUIET)
    if not this_process().first:
        assert this_process().broadcast_object(None) == "student"
    model, history, _ = distil_student(recipe, examples, create("cifar:resnet8", 10, 1), folder / case, QUIET)
    if this_process().first:
        save_weights(model, folder / f"{case}.safetensors", 10)
    return {**model.state_dict(), "gradients": torch.tensor([row["gradient_ce"] for row in history])}


def stages(recipe: Recipe, out: Path, log: Log, teachers: Path | None = None) -> dict:
    """The stages of the main job that train."""
    examples = load_examples(recipe.data, recipe.seed, log)
    teacher, _ = train_teacher(recipe, examples, out / "teacher", log)
    save_weights(teacher, out / "teacher" / "teacher.safetensors", 10)
    student, _, _ = distil_student(recipe, examples, teacher, out / "student", log)
    save_weights(student, out / "student.safetensors", 10)
    return {}


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    launch.join_processes("cpu")
    for case in CASES:
        torch.save(train(case, folder), folder / f"{case}.{this_process().rank}.pt")
    pipeline.distill_and_export = stages
    launch.distill_and_export(recipe_of("adversarial"), folder / "run", QUIET)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
