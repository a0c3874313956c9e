"""The training loop: step, judge on validation rows, keep the best, write a checkpoint; resume from the last one."""

import io
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from edgefair.data import Examples
from edgefair.errors import TrainingError
from edgefair.files import CHECKPOINT, write_bytes
from edgefair.metrics import accuracy, confusion, mean_abs_disparity, recall
from edgefair.models import Classifier
from edgefair.models.parallel import ALONE, Ranks
from edgefair.seeds import derive
from edgefair.strategies import Strategy
from edgefair.training.loader import Feed
from edgefair.training.teacher import outputs


def fit(
    strategy: Strategy, feed: Feed, judge: Callable[[Classifier], dict], folder: Path, log, name: str
) -> list[dict]:
    """Train for the recipe's epochs and leave the chosen epoch's weights in the student; returns a row for each epoch.

    A checkpoint is written after each epoch. Every epoch has its own seeds, so a resumed run takes the same steps.
    With a moving average, that is what is judged and kept. Of several processes the first one judges and writes.
    Raises TrainingError where the loss is not finite or runs away; the last good checkpoint stays.
    """
    student, recipe, ranks = strategy.parts.student, strategy.parts.train, strategy.parts.ranks
    average = _average(student, recipe.ema)
    saved = ranks.agree(_load(folder / CHECKPOINT, strategy.device, ranks) if ranks.first else None)
    if saved:
        strategy.restore(saved["strategy"])
        if average:
            average.module.load_state_dict(saved["average"])
        log.line(f"{name}: going on after epoch {len(saved['history'])} of {recipe.epochs}")
    history, best = (saved["history"], saved["best"]) if saved else ([], None)
    kept = average.module if average else student
    for epoch in range(len(history) + 1, recipe.epochs + 1):
        if stalled([_score(row, recipe.select) for row in history], recipe.patience):
            epochs = f"{recipe.patience} epoch{'s' * (recipe.patience > 1)}"
            log.line(f"{name}: no better for {epochs}, stopped after {len(history)} of {recipe.epochs}")
            break
        title = f"{name} epoch {epoch}/{recipe.epochs}"
        row = {"epoch": epoch, **_epoch(strategy, feed, epoch, log, f"{title}, steps", average)}
        refuse_runaway(strategy, row, (history or [row])[0]["task_at_start"])
        row |= ranks.agree(judge(kept) if ranks.first else None)
        history.append(row)
        score = _score(row, recipe.select)
        if best is None or score >= best["score"]:
            best = {"score": score, "epoch": epoch, "student": {k: v.clone() for k, v in kept.state_dict().items()}}
        if ranks.first:
            state = {"strategy": strategy.state(), "history": history, "best": best}
            _save(folder / CHECKPOINT, state | ({"average": average.module.state_dict()} if average else {}))
        log.line(
            f"{title}: " + ", ".join(f"{k} {row[k]:.4g}" for k in sorted(row, key=_reading_order) if k not in _UNSAID)
        )
    if best:
        student.load_state_dict(best["student"])
    return [{**row, "kept": row["epoch"] == best["epoch"]} for row in history]


_UNSAID = ("epoch", "task_at_start")


def _reading_order(name: str) -> int:
    """Where a figure stands in the line about an epoch: loss, validation, terms of the loss, lengths of gradients."""
    return 0 if name == "loss" else 1 if name.startswith("validation_") else 3 if name.startswith("gradient_") else 2


def _average(student: Classifier, decay: float):
    """The moving average that the recipe asks for, or None; its library is not loaded for nothing."""
    if not decay:
        return None
    from edgefair.training.ema import Average

    return Average(student, decay)


def stalled(scores: list[float], patience: int) -> bool:
    """Whether the last `patience` scores are all no better than the best one before them."""
    return 0 < patience < len(scores) and max(scores[-patience:]) <= max(scores[:-patience])


def _score(row: dict, select: str) -> float:
    return row["epoch"] if select == "last" else row[f"validation_{select}"]


def _save(path: Path, state: dict) -> None:
    # Through memory: torch's own file writer turns a full disk into an error that does not say so.
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_bytes(path, buffer.getbuffer())


def _load(path: Path, device: torch.device, ranks: Ranks = ALONE) -> dict | None:
    # What is sent to other processes must not name the first one's GPU.
    place = device if ranks.size == 1 else torch.device("cpu")
    return torch.load(path, map_location=place, weights_only=True) if path.exists() else None


def refuse_runaway(strategy: Strategy, row: dict, start: float) -> None:
    """Raise TrainingError where an epoch's mean task loss is far above that of the untrained student.

    An objective that subtracts can fall for ever while the student learns nothing: a finite loss is not enough. Far
    means three times the loss before the first step and of a guess among the classes together.
    """
    limit = 3 * (start + math.log(strategy.parts.probe.logits.shape[1]))
    if row["task"] > limit:
        raise TrainingError(
            f"training runs away at epoch {row['epoch']}: what the student learns from has grown from {start:.3g} "
            f"before the first step to {row['task']:.3g} (allowed: {limit:.3g}). {_remedy(strategy, row['epoch'])}"
        )


def _remedy(strategy: Strategy, epoch: int) -> str:
    chosen = strategy.parts.strategy
    kept = f"The checkpoint of epoch {epoch - 1} is kept. " if epoch > 1 else ""
    strength = f"the strength of '{chosen.name}' (--lambda, now {chosen.lam:g}), "
    return (
        f"{kept}Lower {'' if chosen.name == 'plain' else strength}the learning rate (train.lr or teacher.lr, now "
        f"{strategy.parts.train.lr:g}) or the weights of the loss '{strategy.parts.loss.settings.name}'."
    )


def _epoch(strategy: Strategy, feed: Feed, epoch: int, log, title: str, average=None) -> dict[str, float]:
    """Mean of every logged value over the epoch's steps."""
    strategy.parts.student.train()
    strategy.start_epoch(epoch)
    sums: dict[str, list[float]] = {}
    # Dropout and stochastic depth draw from torch's global generator: seed it for this epoch, then put it back.
    cuda = [strategy.device] if strategy.device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda), log.progress(title, feed.steps) as advance:
        torch.manual_seed(derive(feed.seed, "dropout", epoch))
        for step, batch in enumerate(feed.epoch(epoch), start=1):
            before = strategy.updates
            values = strategy.step(batch)
            if average is not None and strategy.updates > before:
                average.update(strategy.parts.student, strategy.updates)
            if not math.isfinite(values["loss"]):
                shown = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
                raise TrainingError(
                    f"the loss is {values['loss']} at epoch {epoch}, step {step} ({shown}). {_remedy(strategy, epoch)}"
                )
            if epoch == 1 and step == 1:
                sums["task_at_start"] = [values["task"]]
            for key, value in values.items():
                sums.setdefault(key, []).append(value)
            advance(1)
    # Gradient norms are measured once an epoch, everything else at every step.
    return {key: sum(values) / len(values) for key, values in sums.items()} | strategy.parts.loss.extra_metrics()


def validation_judge(examples: Examples, device: torch.device) -> Callable[[Classifier], dict]:
    """A function that gives a network's accuracy, mean recall over cells and disparity on validation rows."""
    rows = examples.rows["validation"]
    shape = (len(examples.class_names), len(examples.group_names))

    def judge(model: Classifier) -> dict:
        logits = outputs(model, examples.images, rows, device).logits.numpy()
        predicted = logits.argmax(1)
        table = confusion(examples.labels[rows], predicted, examples.groups[rows], *shape)
        return {
            "validation_accuracy": float((predicted == examples.labels[rows]).mean()),
            "validation_balanced": float(np.nanmean(recall(table))) if table.any() else float(accuracy(table)),
            "validation_disparity": float(mean_abs_disparity(table)),
        }

    return judge
