"""Loss, strategy, batches and teacher put together for training."""

from typing import NamedTuple

import torch

from edgefair.data import Examples
from edgefair.errors import RecipeError
from edgefair.losses import LOSSES, Loss, LossContext
from edgefair.models import Classifier, seeded
from edgefair.models.factory import FROZEN_PREFIXES
from edgefair.models.parallel import this_process
from edgefair.recipe import LossSettings, Recipe, StrategySettings, TrainSettings
from edgefair.recipe.losses import CrossEntropySettings
from edgefair.seeds import derive
from edgefair.strategies import STRATEGIES, StepContext, Strategy
from edgefair.training.loader import BatchLoader, RandomBatch, split_rows
from edgefair.training.teacher import TeacherSource, probe_output

WITHOUT_MAPS = tuple(name for name, kind in LOSSES.items() if kind.needs_teacher and not kind.needs_maps)
"""The losses that distil without stage maps, for messages."""


class TrainingSettings(NamedTuple):
    """The sections of a recipe that say how one network is trained."""

    train: TrainSettings
    loss: LossSettings
    strategy: StrategySettings

    @classmethod
    def of(cls, recipe: Recipe) -> "TrainingSettings":
        """Those of the recipe's student."""
        return cls(recipe.train, recipe.loss, recipe.strategy)

    @classmethod
    def of_teacher(cls, recipe: Recipe) -> "TrainingSettings":
        """Those of its teacher, which learns from the labels alone; a stored one is not trained."""
        stored = recipe.teacher.spec.startswith(FROZEN_PREFIXES)
        train = recipe.teacher.model_copy(update={"epochs": 0}) if stored else recipe.teacher
        return cls(train, CrossEntropySettings(), recipe.teacher.strategy)


def build_training(
    settings: TrainingSettings,
    examples: Examples,
    student: Classifier,
    teacher: Classifier | None,
    seed: int,
    device: torch.device,
    dry: bool = False,
) -> tuple[Strategy, BatchLoader]:
    """A strategy with its loss and teacher, and the loader of its batches.

    settings           how it is trained; examples: on what
    student, teacher   networks on `device`; without a teacher the loss must need none
    seed               of order and augmentation, of the loss's and the strategy's own weights
    dry                nothing is trained: a loss that needs the teacher's class means gets zeros, no row is computed

    Raises RecipeError for shapes that do not fit.
    """
    train = settings.train
    loss_class = LOSSES[settings.loss.name]
    check_maps(loss_class, settings.loss.name, student=student, teacher=teacher)
    for model in (student, teacher):
        if model is not None:
            model.to(memory_format=torch.channels_last)
            model.tap_maps = loss_class.needs_maps
    loader = BatchLoader(examples, "train", train.batch_size, train.augment, seed, device, train.sampling)
    if not loader.steps:
        raise RecipeError(f"{len(loader.rows)} training rows make no batch; two or more rows are needed.")
    source = TeacherSource(teacher, examples, train, device)
    context = _loss_context(loss_class, train, examples, student, source, dry)
    with seeded(derive(seed, "loss")):
        loss = loss_class(settings.loss, context).to(device)
    meta = "meta" if len(examples.rows["meta"]) else "train"
    step_context = StepContext(
        student=student,
        teacher=source.outputs_for(loss),
        loss=loss,
        train=train,
        strategy=settings.strategy,
        steps=loader.steps * train.epochs,
        epoch_steps=loader.steps,
        processes=this_process(),
        probe=context.student,
        class_names=examples.class_names,
        num_groups=len(examples.group_names),
        seed=derive(seed, "strategy"),
        teacher_probe=context.teacher,
        meta=RandomBatch(examples, meta, train.batch_size, seed, device),
        splits={name: split_rows(examples, name, device) for name in ("train", "meta", "validation")},
        row_chances=loader.row_chances(),
    )
    return STRATEGIES[settings.strategy.name](step_context), loader


def _loss_context(
    loss_class: type[Loss],
    train: TrainSettings,
    examples: Examples,
    student: Classifier,
    source: TeacherSource,
    dry: bool,
) -> LossContext:
    """What a loss knows before training: shapes, class means where it needs them, names for messages."""
    teacher = source.model
    probe = probe_output(student, examples, source.device)
    return LossContext(
        student=probe,
        teacher=teacher and probe_output(teacher, examples, source.device),
        num_classes=len(examples.class_names),
        num_groups=len(examples.group_names),
        class_means=source.class_means(compute=not dry) if loss_class.needs_class_means else None,
        label_smoothing=train.label_smoothing,
        student_layers=student.map_names,
        teacher_layers=teacher.map_names if teacher else (),
        without_maps=WITHOUT_MAPS,
    )


def check_maps(loss_class: type[Loss], name: str, **models: Classifier | None) -> None:
    """Raise RecipeError where the loss compares stage maps and a network has none, with the network's reason."""
    for whose, model in models.items():
        if loss_class.needs_maps and model is not None and model.backbone.no_maps:
            raise RecipeError(
                f"loss '{name}' compares stage maps, which the {whose} '{model.spec}' does not give: "
                f"{model.backbone.no_maps}. Choose a loss that needs no maps ({', '.join(WITHOUT_MAPS)}), or another "
                f"{whose}."
            )
