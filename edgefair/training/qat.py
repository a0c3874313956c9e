"""Quantisation-aware fine-tuning: the student trained on under fake quantisation, with its own loss and strategy.

The group objective is the run's own. Training under quantisation for accuracy alone can widen gaps between groups (Liu
et al., "Understanding the unfairness in network quantization", ICML 2025), so what comes out is judged anew.
"""

from pathlib import Path

import torch

from edgefair.data import Examples
from edgefair.data.calibration import calibration_images
from edgefair.files import write_record
from edgefair.log import Log
from edgefair.models import create, save_weights
from edgefair.recipe import Recipe
from edgefair.seeds import derive
from edgefair.training.assemble import TrainingSettings, build_training
from edgefair.training.fake_quant import install, remove
from edgefair.training.loop import fit, make_validation
from edgefair.training.records import History
from edgefair.training.stages import training_device

LR_SHARE = 0.05
"""Peak learning rate as a share of the student's: it starts from weights that are good already."""


def finetune(
    recipe: Recipe,
    examples: Examples,
    student: Path,
    teacher: Path,
    folder: Path,
    dialect: str,
    epochs: int,
    log: Log,
) -> list[dict]:
    """Train the student's weights on for some epochs, write student.safetensors and history.json; returns the history.

    student, teacher: files of weights. dialect: whose rounding is imitated. recipe and examples: those of the run; its
    loss and strategy go on for `epochs`, and `log` gets a line for each. What is written are plain float weights, to be
    exported and quantised as usual. A checkpoint is kept in `folder` after every epoch and resumed from. Raises
    TrainingError where the loss diverges.
    """
    device, classes = training_device(recipe), len(examples.class_names)
    model, teacher_model = (create(f"file:{path}", classes, 0).to(device) for path in (student, teacher))
    install(model, torch.from_numpy(calibration_images(recipe, examples)[0]).to(device), dialect)
    seed = derive(recipe.seed, "finetune")
    strategy, loader = build_training(finetune_settings(recipe, epochs), examples, model, teacher_model, seed, device)
    strategy.reopen()
    history = fit(strategy, loader, make_validation(examples, device), folder, log, "fine-tuning")
    remove(model)
    save_weights(model, folder / "student.safetensors", classes)
    write_record(folder / "history.json", History, history)
    return history


def finetune_settings(recipe: Recipe, epochs: int) -> TrainingSettings:
    """[train] [loss] [strategy] for fine-tuning: few epochs at a low rate, and the terms' warm-ups left out."""
    train = recipe.train.model_copy(update={"epochs": epochs, "lr": recipe.train.lr * LR_SHARE})
    return TrainingSettings(train, recipe.loss.without_warmup(), recipe.strategy.without_warmup())
