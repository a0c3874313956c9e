"""The two training stages: a teacher from data, a student from teacher and data."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from edgefair.data import Examples
from edgefair.data.feed import Draw, Feed
from edgefair.errors import RecipeError, nearest
from edgefair.losses import LOSSES, Loss, Setup
from edgefair.models import Classifier, create, seeded
from edgefair.recipe import LossRecipe, Recipe, StrategyRecipe, TrainRecipe
from edgefair.seeds import derive
from edgefair.strategies import STRATEGIES, Parts, Strategy
from edgefair.tensors import Batch, Output
from edgefair.train import CachedTeacher, LiveTeacher, fit, outputs, validation_judge


def check_names(recipe: Recipe) -> None:
    """Raise RecipeError for a loss, strategy or device that is not there, before anything is trained."""
    if recipe.loss.name not in LOSSES:
        raise RecipeError(f"unknown loss '{recipe.loss.name}'; {nearest(recipe.loss.name, LOSSES)}")
    if recipe.strategy.name not in STRATEGIES:
        raise RecipeError(f"unknown strategy '{recipe.strategy.name}'; {nearest(recipe.strategy.name, STRATEGIES)}")
    training_device(recipe)


def training_device(recipe: Recipe) -> torch.device:
    """The device that the recipe names; raises RecipeError where it is not there."""
    if recipe.device == "cuda" and not torch.cuda.is_available():
        raise RecipeError(
            f"device 'cuda' was asked for, but torch {torch.__version__} finds no CUDA device; "
            "use --device cpu, or see that nvidia-smi finds the GPU."
        )
    return torch.device(recipe.device)


def rehearse(recipe: Recipe, examples: Examples) -> None:
    """Build all that training needs and throw it away: whatever does not fit is said before anything is trained."""
    classes = len(examples.class_names)
    teacher, student = (create(part.spec, classes, 0, part.pretrained) for part in (recipe.teacher, recipe.student))
    chosen = (recipe.train, recipe.loss, recipe.strategy)
    assemble(*chosen, examples, student, teacher, 0, torch.device("cpu"), means=False)


def train_teacher(recipe: Recipe, examples: Examples, folder: Path, log) -> tuple[Classifier, list[dict]]:
    """Train the teacher with cross-entropy alone, or load it; returns it with a row of history for each epoch."""
    device = training_device(recipe)
    classes = len(examples.class_names)
    model = create(recipe.teacher.spec, classes, derive(recipe.seed, "teacher"), recipe.teacher.pretrained).to(device)
    if recipe.teacher.spec.startswith("file:") or not recipe.teacher.epochs:
        return model, []
    alone = (LossRecipe(name="none"), StrategyRecipe(name="plain"))
    strategy, feed = assemble(recipe.teacher, *alone, examples, model, None, derive(recipe.seed, "teacher"), device)
    return model, fit(strategy, feed, validation_judge(examples, device), folder, log, "teacher")


def distil_student(
    recipe: Recipe, examples: Examples, teacher: Classifier, folder: Path, log
) -> tuple[Classifier, list[dict], str]:
    """Train the student with the recipe's loss and strategy; returns it, its history and what lambda meant."""
    device = training_device(recipe)
    model = create(
        recipe.student.spec, len(examples.class_names), derive(recipe.seed, "student"), recipe.student.pretrained
    ).to(device)
    seed = derive(recipe.seed, "distil")
    strategy, feed = assemble(recipe.train, recipe.loss, recipe.strategy, examples, model, teacher, seed, device)
    return model, fit(strategy, feed, validation_judge(examples, device), folder, log, "student"), strategy.meaning


def assemble(
    train: TrainRecipe,
    loss_recipe: LossRecipe,
    strategy_recipe: StrategyRecipe,
    examples: Examples,
    student: Classifier,
    teacher: Classifier | None,
    seed: int,
    device: torch.device,
    means: bool = True,
) -> tuple[Strategy, Feed]:
    """A strategy with its loss, teacher and feed; raises RecipeError for shapes that do not fit.

    Without `means`, a loss that needs the teacher's class means gets zeros, so that nothing looks at the training rows.
    """
    kind = LOSSES[loss_recipe.name]
    for model in (student, teacher):
        if model is not None:
            model.to(memory_format=torch.channels_last)
            model.tap_maps = kind.needs_maps
    feed = Feed(examples, "train", train.batch_size, train.augment, seed, device)
    if not feed.steps:
        raise RecipeError(f"{len(feed.rows)} training rows make no batch; two or more rows are needed.")
    probe = _probe(student, examples, device)
    shown = _Teacher(teacher, examples, train, device)
    setup = Setup(
        student=probe,
        teacher=teacher and _probe(teacher, examples, device),
        num_classes=len(examples.class_names),
        num_groups=len(examples.group_names),
        class_means=shown.class_means(means) if kind.needs_class_means else None,
        label_smoothing=train.label_smoothing,
        student_layers=student.map_names,
        teacher_layers=teacher.map_names if teacher else (),
    )
    with seeded(derive(seed, "loss")):
        loss = kind(loss_recipe, setup).to(device)
    parts = Parts(
        student=student,
        teacher=shown.source(loss),
        loss=loss,
        train=train,
        strategy=strategy_recipe,
        steps=feed.steps * train.epochs,
        probe=probe,
        class_names=examples.class_names,
        num_groups=len(examples.group_names),
        seed=derive(seed, "strategy"),
        teacher_probe=setup.teacher,
        meta=Draw(examples, "meta" if len(examples.rows["meta"]) else "train", train.batch_size, seed, device),
    )
    return STRATEGIES[strategy_recipe.name](parts), feed


def _probe(model: Classifier, examples: Examples, device: torch.device) -> Output:
    with torch.no_grad():
        images = torch.from_numpy(examples.images[examples.rows["train"][:2]]).to(device)
        return model.eval()(images)


class _Teacher:
    """A teacher and, once somebody asks, its outputs for all training rows."""

    def __init__(self, model: Classifier | None, examples: Examples, train: TrainRecipe, device: torch.device):
        self.model, self.examples, self.train, self.device = model, examples, train, device

    @cached_property
    def outputs(self) -> Output:
        live = LiveTeacher(self.model, self.train.batch_size)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.train.precision == "bf16"):
            return outputs(
                self.model,
                self.examples.images,
                self.examples.rows["train"],
                self.device,
                self.train.batch_size,
                live.look,
            )

    def class_means(self, look: bool = True) -> Tensor:
        """Mean feature of each class over the training rows, in eval mode and without augmentation: [C, D]."""
        if not look:
            width = _probe(self.model, self.examples, self.device).features.shape[1]
            return torch.zeros(len(self.examples.class_names), width)
        labels = torch.from_numpy(self.examples.labels[self.examples.rows["train"]])
        of_class = functional.one_hot(labels, len(self.examples.class_names)).float()  # [N, C]
        return (of_class.T @ self.outputs.features) / of_class.sum(0).clamp(min=1)[:, None]

    def source(self, loss: Loss) -> Callable[[Batch], Output | None]:
        """What a strategy asks for the teacher's output of a batch: remembered outputs where they are exact."""
        if self.model is None or not loss.needs_teacher:
            return lambda batch: None
        if self.train.augment == "none" and not loss.needs_maps:
            return CachedTeacher(lambda: self.outputs, self.device)
        return LiveTeacher(self.model, self.train.batch_size)
