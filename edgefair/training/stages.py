"""The two training stages: a teacher from data, a student from teacher and data."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import torch

from edgefair.data import Examples
from edgefair.errors import RecipeError
from edgefair.files import read_values
from edgefair.log import Log
from edgefair.models import Classifier, create
from edgefair.models.factory import FROZEN_PREFIXES, read_weights
from edgefair.models.parallel import this_process
from edgefair.recipe import Recipe, StudentSettings, TeacherSettings
from edgefair.seeds import derive
from edgefair.training.assemble import TrainingSettings, build_training
from edgefair.training.loop import finish_trained, fit, make_validation
from edgefair.training.records import History


def training_device(recipe: Recipe) -> torch.device:
    """The device that the recipe names; raises RecipeError where it is not there."""
    if recipe.device == "cuda" and not torch.cuda.is_available():
        raise RecipeError(
            f"device 'cuda' was asked for, but torch {torch.__version__} finds no CUDA device; "
            "use --device cpu, or see that nvidia-smi finds the GPU."
        )
    if recipe.device == "cuda" and this_process().size > 1:
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device(recipe.device)


@contextlib.contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Compute with `count` threads, 0 for as many as before: sums are split among them, and rounded accordingly."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def dry_run(recipe: Recipe, examples: Examples) -> None:
    """Build all that training needs and throw it away: whatever does not fit is said before anything is trained."""
    check_trainable(recipe.student)
    teacher, student = (build(part, examples, 0) for part in (recipe.teacher, recipe.student))
    if recipe.teacher.strategy.name != "plain":
        build_training(TrainingSettings.of_teacher(recipe), examples, teacher, None, 0, torch.device("cpu"), dry=True)
    build_training(TrainingSettings.of(recipe), examples, student, teacher, 0, torch.device("cpu"), dry=True)


def build(part: TeacherSettings | StudentSettings, examples: Examples, seed: int) -> Classifier:
    """The network of a section of the recipe, for these classes and images; raises RecipeError or ArtefactError."""
    options = {}
    if part.spec.startswith("onnx:"):
        check_trainable(part)
        given = {
            "logits_output": part.logits_output,
            "features_output": part.features_output,
            "mean": list(part.input_mean),
            "std": list(part.input_std),
        }
        options = {name: value for name, value in given.items() if value}
    settings = {"weights": part.weights, "image_size": examples.images.shape[-1], "options": options}
    return create(part.spec, len(examples.class_names), seed, part.pretrained, **settings)


def announce_stage(stage: str) -> None:
    """Tell the other processes, where there are any, that this stage is trained now."""
    if this_process().first:
        this_process().broadcast_object(stage)


def check_trainable(part: TeacherSettings | StudentSettings) -> None:
    """Raise RecipeError for a student that has no gradients."""
    if part.spec.startswith("onnx:") and isinstance(part, StudentSettings):
        raise RecipeError(
            f"student.spec '{part.spec}' is an ONNX file, which cannot be trained; it can be a teacher. Name a student "
            "such as cifar:resnet8, timm:NAME or file:PATH.safetensors."
        )


def train_teacher(recipe: Recipe, examples: Examples, folder: Path, log: Log) -> tuple[Classifier, list[dict]]:
    """Train the recipe's teacher with cross-entropy and its strategy, or load it; returns it with a row for each epoch.

    `examples` are the data set, `folder` gets checkpoints, `log` a line for each epoch. Raises TrainingError where it
    diverges.
    """
    device = training_device(recipe)
    model = build(recipe.teacher, examples, derive(recipe.seed, "teacher")).to(device)
    as_it_is = recipe.teacher.spec.startswith(FROZEN_PREFIXES) or not recipe.teacher.epochs
    if as_it_is and not recipe.teacher.strategy.post_hoc:
        return model, []
    if recipe.teacher.freeze:
        model.freeze()
    announce_stage("teacher")
    settings = TrainingSettings.of_teacher(recipe)
    with cpu_threads(recipe.threads):
        strategy, loader = build_training(settings, examples, model, None, derive(recipe.seed, "teacher"), device)
        return model, fit(strategy, loader, make_validation(examples, device), folder, log, "teacher")


def distil_student(
    recipe: Recipe, examples: Examples, teacher: Classifier, folder: Path, log: Log, trained: Path | None = None
) -> tuple[Classifier, list[dict], str]:
    """Train the student with the recipe's loss and strategy; returns it, its history and the objective with its lambda.

    `teacher` is a network for the classes of `examples`, `folder` gets checkpoints, `log` a line for each epoch.
    `trained` is the stage of a student of the same recipe with strategy plain, which a strategy that acts after
    training takes over instead of training again. Raises TrainingError where it diverges.
    """
    device = training_device(recipe)
    announce_stage("student")
    model = build(recipe.student, examples, derive(recipe.seed, "student")).to(device)
    seed = derive(recipe.seed, "distil")
    with cpu_threads(recipe.threads):
        strategy, loader = build_training(TrainingSettings.of(recipe), examples, model, teacher, seed, device)
        validate = make_validation(examples, device)
        if trained is None:
            history = fit(strategy, loader, validate, folder, log, "student")
        else:
            model.load_state_dict(read_weights(trained / "student.safetensors")[1])
            history = read_values(trained / "history.json", History, "Remove its folder, and search again.")
            history = finish_trained(strategy, history, validate, log, "student")
    return model, history, strategy.objective
