"""Loss, strategy, batches and teacher put together for training."""

import torch

from edgefair.data import Examples
from edgefair.errors import RecipeError
from edgefair.losses import LOSSES, Loss, LossContext
from edgefair.models import Classifier, seeded
from edgefair.models.parallel import this_process
from edgefair.recipe import LossSettings, StrategySettings, TrainRecipe
from edgefair.seeds import derive
from edgefair.strategies import STRATEGIES, Parts, Strategy
from edgefair.training.loader import Draw, Feed
from edgefair.training.teacher import _probe, _Teacher

WITHOUT_MAPS = tuple(name for name, kind in LOSSES.items() if kind.needs_teacher and not kind.needs_maps)
"""The losses that distil without stage maps, for messages."""


def assemble(
    train: TrainRecipe,
    loss_settings: LossSettings,
    strategy_settings: StrategySettings,
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
    kind = LOSSES[loss_settings.name]
    refuse_without_maps(kind, loss_settings.name, student=student, teacher=teacher)
    for model in (student, teacher):
        if model is not None:
            model.to(memory_format=torch.channels_last)
            model.tap_maps = kind.needs_maps
    feed = Feed(examples, "train", train.batch_size, train.augment, seed, device, train.sampling)
    if not feed.steps:
        raise RecipeError(f"{len(feed.rows)} training rows make no batch; two or more rows are needed.")
    probe = _probe(student, examples, device)
    shown = _Teacher(teacher, examples, train, device)
    context = LossContext(
        student=probe,
        teacher=teacher and _probe(teacher, examples, device),
        num_classes=len(examples.class_names),
        num_groups=len(examples.group_names),
        class_means=shown.class_means(means) if kind.needs_class_means else None,
        label_smoothing=train.label_smoothing,
        student_layers=student.map_names,
        teacher_layers=teacher.map_names if teacher else (),
        without_maps=WITHOUT_MAPS,
    )
    with seeded(derive(seed, "loss")):
        loss = kind(loss_settings, context).to(device)
    parts = Parts(
        student=student,
        teacher=shown.source(loss),
        loss=loss,
        train=train,
        strategy=strategy_settings,
        steps=feed.steps * train.epochs,
        epoch_steps=feed.steps,
        ranks=this_process(),
        probe=probe,
        class_names=examples.class_names,
        num_groups=len(examples.group_names),
        seed=derive(seed, "strategy"),
        teacher_probe=context.teacher,
        meta=Draw(examples, "meta" if len(examples.rows["meta"]) else "train", train.batch_size, seed, device),
    )
    return STRATEGIES[strategy_settings.name](parts), feed


def refuse_without_maps(kind: type[Loss], name: str, **models: Classifier | None) -> None:
    """Raise RecipeError where the loss compares stage maps and a network has none, with the network's reason."""
    for whose, model in models.items():
        if kind.needs_maps and model is not None and model.backbone.no_maps:
            raise RecipeError(
                f"loss '{name}' compares stage maps, which the {whose} '{model.spec}' does not give: "
                f"{model.backbone.no_maps}. Choose a loss that needs no maps ({', '.join(WITHOUT_MAPS)}), or another "
                f"{whose}."
            )
