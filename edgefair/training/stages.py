"""The two training stages: a teacher from data, a student from teacher and data."""

import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from edgefair.data import Examples
from edgefair.errors import RecipeError, nearest
from edgefair.losses import LOSSES, Loss, Setup
from edgefair.models.factory import AS_IT_IS, Classifier, create, seeded
from edgefair.models.parallel import this_process
from edgefair.recipe import LossRecipe, Recipe, StrategyRecipe, StudentRecipe, TeacherRecipe, TrainRecipe
from edgefair.seeds import derive
from edgefair.strategies import STRATEGIES, Parts, Strategy
from edgefair.tensors import Batch, Output
from edgefair.training.loader import Draw, Feed
from edgefair.training.loop import CachedTeacher, LiveTeacher, fit, outputs, validation_judge


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
    if recipe.device == "cuda" and this_process().size > 1:
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device(recipe.device)


def rehearse(recipe: Recipe, examples: Examples) -> None:
    """Build all that training needs and throw it away: whatever does not fit is said before anything is trained."""
    refuse_untrainable(recipe.student)
    teacher, student = (build(part, examples, 0) for part in (recipe.teacher, recipe.student))
    chosen = (recipe.train, recipe.loss, recipe.strategy)
    assemble(*chosen, examples, student, teacher, 0, torch.device("cpu"), means=False)


def build(part: TeacherRecipe | StudentRecipe, examples: Examples, seed: int) -> Classifier:
    """The network of a section of the recipe, for these classes and images; raises RecipeError or ArtefactError."""
    options = {}
    if part.spec.startswith("onnx:"):
        refuse_untrainable(part)
        given = {
            "logits_output": part.logits_output,
            "features_output": part.features_output,
            "mean": list(part.input_mean),
            "std": list(part.input_std),
        }
        options = {name: value for name, value in given.items() if value}
    settings = {"weights": part.weights, "image_size": examples.images.shape[-1], "options": options}
    return create(part.spec, len(examples.class_names), seed, part.pretrained, **settings)


def call_others(stage: str) -> None:
    """Say to the other processes, where there are any, that this stage is trained now."""
    if this_process().first:
        this_process().agree(stage)


def refuse_untrainable(part: TeacherRecipe | StudentRecipe) -> None:
    """Raise RecipeError for a student that has no gradients."""
    if part.spec.startswith("onnx:") and isinstance(part, StudentRecipe):
        raise RecipeError(
            f"student.spec '{part.spec}' is an ONNX file, which cannot be trained; it can be a teacher. Name a student "
            "such as cifar:resnet8, timm:NAME or file:PATH.safetensors."
        )


def train_teacher(recipe: Recipe, examples: Examples, folder: Path, log) -> tuple[Classifier, list[dict]]:
    """Train the teacher with cross-entropy alone, or load it; returns it with a row of history for each epoch."""
    device = training_device(recipe)
    model = build(recipe.teacher, examples, derive(recipe.seed, "teacher")).to(device)
    if recipe.teacher.spec.startswith(AS_IT_IS) or not recipe.teacher.epochs:
        return model, []
    if recipe.teacher.freeze:
        model.freeze()
    call_others("teacher")
    alone = (LossRecipe(name="none"), StrategyRecipe(name="plain"))
    strategy, feed = assemble(recipe.teacher, *alone, examples, model, None, derive(recipe.seed, "teacher"), device)
    return model, fit(strategy, feed, validation_judge(examples, device), folder, log, "teacher")


def distil_student(
    recipe: Recipe, examples: Examples, teacher: Classifier, folder: Path, log
) -> tuple[Classifier, list[dict], str]:
    """Train the student with the recipe's loss and strategy; returns it, its history and what lambda meant."""
    device = training_device(recipe)
    call_others("student")
    model = build(recipe.student, examples, derive(recipe.seed, "student")).to(device)
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
    refuse_without_maps(kind, loss_recipe.name, student=student, teacher=teacher)
    for model in (student, teacher):
        if model is not None:
            model.to(memory_format=torch.channels_last)
            model.tap_maps = kind.needs_maps
    feed = Feed(examples, "train", train.batch_size, train.augment, seed, device, train.sampling)
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
        epoch_steps=feed.steps,
        ranks=this_process(),
        probe=probe,
        class_names=examples.class_names,
        num_groups=len(examples.group_names),
        seed=derive(seed, "strategy"),
        teacher_probe=setup.teacher,
        meta=Draw(examples, "meta" if len(examples.rows["meta"]) else "train", train.batch_size, seed, device),
    )
    return STRATEGIES[strategy_recipe.name](parts), feed


def refuse_without_maps(kind: type[Loss], name: str, **models: Classifier | None) -> None:
    """Raise RecipeError where the loss compares stage maps and a network has none, with the network's reason."""
    for whose, model in models.items():
        if kind.needs_maps and model is not None and model.backbone.no_maps:
            raise RecipeError(
                f"loss '{name}' compares stage maps, which the {whose} '{model.spec}' does not give: "
                f"{model.backbone.no_maps}. Choose a loss that needs no maps (ckd, ctkd, rkd, kdpp, mfd), or another "
                f"{whose}."
            )


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
        of_class = functional.one_hot(labels, len(self.examples.class_names)).to(self.outputs.features.dtype)  # [N, C]
        return (of_class.T @ self.outputs.features) / of_class.sum(0).clamp(min=1)[:, None]

    def source(self, loss: Loss) -> Callable[[Batch], Output | None]:
        """What a strategy asks for the teacher's output of a batch: remembered outputs where they are exact."""
        if self.model is None or not loss.needs_teacher:
            return lambda batch: None
        if self.train.augment == "none" and not loss.needs_maps:
            return CachedTeacher(lambda: self.outputs, self.device)
        return LiveTeacher(self.model, self.train.batch_size, this_process())
