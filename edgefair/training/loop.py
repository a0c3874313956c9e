"""The training loop: step, validate on validation rows, keep the best, write a checkpoint; resume from the last one."""

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgefair.data import Examples
from edgefair.errors import TrainingError
from edgefair.files import CHECKPOINT, write_bytes
from edgefair.log import Log
from edgefair.metrics import confusion, mean_abs_disparity, recall
from edgefair.models import Classifier
from edgefair.models.parallel import SINGLE_PROCESS, ProcessGroup
from edgefair.seeds import derive
from edgefair.strategies import Strategy
from edgefair.training.divergence import check_divergence, remedy, running_loss
from edgefair.training.early_warnings import after_first_epoch, before_training
from edgefair.training.loader import BatchLoader
from edgefair.training.teacher import outputs


def fit(
    strategy: Strategy,
    loader: BatchLoader,
    validate: Callable[[Classifier], dict[str, float]],
    folder: Path,
    log: Log,
    name: str,
) -> list[dict[str, Any]]:
    """Train for the recipe's epochs, keep the chosen one's weights, let the strategy finish; a row for each epoch.

    `strategy` takes the steps, `loader` gives the batches, `validate` the figures of a network on validation rows, by
    which an epoch is chosen; `folder` gets the checkpoint after each epoch, and `name` stands in the log. Every epoch
    has its own seeds, so a resumed run takes the same steps. With a moving average, that is what is validated and kept.
    Of several processes the first one validates and writes. Raises TrainingError where the loss is not finite or
    diverges; the last good checkpoint stays.
    """
    student, settings, processes = strategy.context.student, strategy.context.train, strategy.context.processes
    average = _average(student, settings.ema)
    evaluated = average.module if average else student
    history, best = _resume(strategy, average, folder, log, name)
    for warning in before_training(strategy, loader) if not history else ():
        log.line(f"warning: {warning}")
    for epoch in range(len(history) + 1, settings.epochs + 1):
        if should_stop_early([score(row, settings.select) for row in history], settings.patience):
            epochs = f"{settings.patience} epoch{'s' * (settings.patience > 1)}"
            stopped = f"stopped after {len(history)} of {settings.epochs}"
            log.line(f"{name}: early stopping: no improvement for {epochs}, {stopped}")
            break
        title = f"{name} epoch {epoch}/{settings.epochs}"
        row = {"epoch": epoch, **train_epoch(strategy, loader, epoch, log, f"{title}, steps", average)}
        check_divergence(strategy, row, history)
        row |= processes.broadcast_object(validate(evaluated) if processes.first else None)
        if epoch == 1:
            row |= _seen_first(strategy, loader, row, validate, log, name)
        history.append(row)
        best = _better(best, row, evaluated, settings.select)
        if processes.first:
            state = {"strategy": strategy.state(), "history": history, "best": best}
            save_checkpoint(folder / CHECKPOINT, state | ({"average": average.module.state_dict()} if average else {}))
        log.line(f"{title}: {_figures(row)}")
    if best:
        student.load_state_dict(best["student"])
    # Not part of the checkpoint: it depends on the weights and the seed alone, so a resumed run does the same again.
    after = _finish(strategy, validate, log, name)
    kept = [row["epoch"] == best["epoch"] for row in history] if best else []
    return [{**row, "kept": here, **(after if here else {})} for row, here in zip(history, kept, strict=True)]


def finish_trained(
    strategy: Strategy,
    history: list[dict[str, Any]],
    validate: Callable[[Classifier], dict[str, float]],
    log: Log,
    name: str,
) -> list[dict[str, Any]]:
    """The end of `fit` for a student that was trained already, whose history is given; returns the new history."""
    after = _finish(strategy, validate, log, name)
    return [{**row, **(after if row["kept"] else {})} for row in history]


def _seen_first(
    strategy: Strategy,
    loader: BatchLoader,
    row: dict[str, Any],
    validate: Callable[[Classifier], dict[str, float]],
    log: Log,
    name: str,
) -> dict[str, Any]:
    """What is to be said after the first epoch, into the log and for the row: warnings, and the gap's noise floor."""
    table = getattr(validate, "table", None)
    found = None if table is None else after_first_epoch(strategy, loader, row, table, name)
    found = strategy.context.processes.broadcast_object(found)
    if found is None:  # validated by something else
        return {}
    for line in found.lines:
        log.line(f"{name}: {line}")
    for warning in found.warnings:
        log.line(f"warning: {warning}")
    return found.figures | {"warnings": [*before_training(strategy, loader), *found.warnings]}


def _finish(
    strategy: Strategy, validate: Callable[[Classifier], dict[str, float]], log: Log, name: str
) -> dict[str, float]:
    """Let the strategy change the student after training; the student's validation figures then, as `finished_...`."""
    done, processes = strategy.finish(), strategy.context.processes
    if not done:
        return {}
    figures = processes.broadcast_object(validate(strategy.context.student) if processes.first else None)
    log.line(f"{name}: {done}: {_figures(figures)}")
    return {key.replace("validation", "finished"): value for key, value in figures.items()}


def _resume(strategy: Strategy, average: Any, folder: Path, log: Log, name: str) -> tuple[list[dict], dict | None]:
    """History and best epoch of the checkpoint, whose state strategy and average take over; none without one."""
    processes = strategy.context.processes
    saved = load_checkpoint(folder / CHECKPOINT, strategy.device, processes) if processes.first else None
    saved = processes.broadcast_object(saved)
    if not saved:
        return [], None
    strategy.restore(saved["strategy"])
    if average:
        average.module.load_state_dict(saved["average"])
    log.line(f"{name}: resuming after epoch {len(saved['history'])} of {strategy.context.train.epochs}")
    return saved["history"], saved["best"]


def _better(best: dict | None, row: dict[str, Any], model: Classifier, select: str) -> dict:
    """The best epoch so far: this one with its weights, or the one before where that was better."""
    reached = score(row, select)
    if best is not None and reached < tuple(best["score"]):
        return best
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    return {"score": reached, "epoch": row["epoch"], "student": weights}


_NOT_LOGGED = ("epoch", "task_at_start", "task_at_end", "adversary_at_end", "warnings")


def _figures(row: dict[str, Any]) -> str:
    """The figures of an epoch for the log."""
    return ", ".join(f"{name} {row[name]:.4g}" for name in sorted(row, key=_reading_order) if name not in _NOT_LOGGED)


def _reading_order(name: str) -> int:
    """Where a figure stands in the line about an epoch: loss, validation, terms of the loss, lengths of gradients."""
    return 0 if name == "loss" else 1 if name.startswith("validation_") else 3 if name.startswith("gradient_") else 2


def _average(student: Classifier, decay: float) -> Any:
    """The moving average (training/ema.py) that the recipe asks for, or None; its library is loaded only if needed."""
    if not decay:
        return None
    from edgefair.training.ema import Average

    return Average(student, decay)


def should_stop_early(scores: list[tuple[float, ...]], patience: int) -> bool:
    """Whether the last `patience` scores are all no better than the best one before them."""
    return 0 < patience < len(scores) and max(scores[-patience:]) <= max(scores[:-patience])


def score(row: dict, select: str) -> tuple[float, ...]:
    """What an epoch is chosen by, greater is better; accuracy where no validation row has a known group."""
    if select == "last":
        return (row["epoch"],)
    # Many epochs have as many of the worst cell's few rows right: then the mean of the cells decides.
    names = ("worst", "balanced") if select == "worst" else (select,)
    found = tuple(row[f"validation_{name}"] for name in names)
    return (row["validation_accuracy"],) if any(map(math.isnan, found)) else found


def save_checkpoint(path: Path, state: dict) -> None:
    """Write state atomically; raises OSError where the disk is full."""
    # Through memory: torch's own file writer turns a full disk into an error that does not say so.
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_bytes(path, buffer.getbuffer())


def load_checkpoint(path: Path, device: torch.device, processes: ProcessGroup = SINGLE_PROCESS) -> dict | None:
    """The state that was saved, on `device`, or None; nothing in the file is executed."""
    # What is sent to other processes must not name the first one's GPU.
    place = device if processes.size == 1 else torch.device("cpu")
    return torch.load(path, map_location=place, weights_only=True) if path.exists() else None


def train_epoch(
    strategy: Strategy, loader: BatchLoader, epoch: int, log: Log, title: str, average: Any = None
) -> dict[str, float]:
    """Take an epoch's steps, moving the average along; returns the mean of every value that a step returned.

    The batches of `epoch`, counted from 1, come from `loader` and go to `strategy`; `title` names the bar in `log`.
    Raises TrainingError where the loss is not finite.
    """
    strategy.context.student.train()
    strategy.start_epoch(epoch)
    sums: dict[str, list[float]] = {}
    # Dropout and stochastic depth draw from torch's global generator: seed it for this epoch, then put it back.
    cuda = [strategy.device] if strategy.device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda), log.progress(title, loader.steps) as advance:
        torch.manual_seed(derive(loader.seed, "dropout", epoch))
        for step, batch in enumerate(loader.epoch(epoch), start=1):
            before = strategy.optimizer_steps
            values = strategy.step(batch)
            if average is not None and strategy.optimizer_steps > before:
                average.update(strategy.context.student, strategy.optimizer_steps)
            if not math.isfinite(values["loss"]):
                shown = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
                raise TrainingError(
                    f"the loss is {values['loss']} at epoch {epoch}, step {step} ({shown}). {remedy(strategy, epoch)}"
                )
            if epoch == 1 and step == 1:
                sums["task_at_start"] = [values["task"]]
            for key, value in values.items():
                sums.setdefault(key, []).append(value)
            advance(1)
    # Gradient norms are measured once an epoch, everything else at every step.
    means = {key: sum(values) / len(values) for key, values in sums.items()}
    ends = {f"{key}_at_end": running_loss(sums[key]) for key in ("task", "adversary") if key in sums}
    return means | ends | strategy.context.loss.extra_metrics()


class Validation:
    """Gives a network's figures on validation rows, 0 to 1, and keeps the table that they are from.

    Accuracy, mean and least recall of the (class, group) cells that have rows, and disparity; NaN where undefined.
    table: [G, C, C] counts of the last call, group, true and predicted class; None before it.
    """

    def __init__(self, examples: Examples, device: torch.device):
        self.examples, self.device = examples, device
        self.table: np.ndarray | None = None

    def __call__(self, model: Classifier) -> dict[str, float]:
        examples, rows = self.examples, self.examples.rows["validation"]
        shape = (len(examples.class_names), len(examples.group_names))
        predicted = outputs(model, examples.images, rows, self.device).logits.numpy().argmax(1)
        self.table = table = confusion(examples.labels[rows], predicted, examples.groups[rows], *shape)
        found = recall(table)[~np.isnan(recall(table))]  # of the cells with rows
        return {
            "validation_accuracy": float((predicted == examples.labels[rows]).mean()),
            "validation_balanced": float(found.mean()) if len(found) else math.nan,
            "validation_worst": float(found.min()) if len(found) else math.nan,
            "validation_disparity": float(mean_abs_disparity(table)),
        }


def make_validation(examples: Examples, device: torch.device) -> Validation:
    """What gives a network's figures on validation rows, computed on `device`."""
    return Validation(examples, device)
