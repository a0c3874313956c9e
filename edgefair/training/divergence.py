"""Whether training runs away: an objective that subtracts can fall for ever while the student learns nothing."""

import math
from typing import Any

from edgefair.errors import TrainingError
from edgefair.strategies import Strategy

FAR, HOPELESS = 3.0, 30.0  # times (loss before the first step + of a guess): too far if it still rises; in any case
LAST = 4  # the running loss is the mean over the last quarter of an epoch's steps


def running_loss(losses: list[float]) -> float:
    """Where an epoch leaves the loss: the mean over the last quarter of its steps, at least one."""
    last = losses[-max(1, len(losses) // LAST) :]
    return sum(last) / len(last)


def diverged(running: list[float], start: float, num_classes: int) -> bool:
    """Whether the task's loss runs away: far above where it began, and no longer falling.

    r_e > 3 (s + ln C) and r_e >= r_(e-1), from the second epoch on; or r_e > 30 (s + ln C) in any epoch

    running: r_1 .. r_e, the running loss at the end of each epoch. start: s, before the first step. num_classes: C, a
    guess among which costs ln C. Large first logits and a bad first epoch, which a network recovers from, are let pass.
    """
    scale, now = start + math.log(num_classes), running[-1]
    rising = len(running) > 1 and now >= running[-2]
    return now > HOPELESS * scale or (rising and now > FAR * scale)


def check_divergence(strategy: Strategy, row: dict[str, Any], history: list[dict[str, Any]]) -> None:
    """Raise TrainingError where the epoch of `row`, after those of `history`, has run away; see `diverged`."""
    rows = [*history, row]
    running = [each.get("task_at_end", each["task"]) for each in rows]  # a checkpoint of before has the mean alone
    start, before = rows[0]["task_at_start"], running[-2:-1] or [rows[0]["task_at_start"]]
    if diverged(running, start, strategy.context.probe.logits.shape[1]):
        raise TrainingError(
            f"training diverged at epoch {row['epoch']}: what the student learns from has grown from {start:.3g} "
            f"before the first step, and {before[0]:.3g} before this epoch, to {running[-1]:.3g} at its end. "
            f"{remedy(strategy, row['epoch'])}"
        )


def remedy(strategy: Strategy, epoch: int) -> str:
    """What to do about a loss that runs away or is not finite in this epoch."""
    settings = strategy.settings
    kept = f"The checkpoint of epoch {epoch - 1} is kept. " if epoch > 1 else ""
    strength = f"the strength of '{settings.name}' (--lambda, now {settings.lam:g}), "
    return (
        f"{kept}Lower {'' if settings.name == 'plain' else strength}the learning rate (train.lr or teacher.lr, now "
        f"{strategy.context.train.lr:g}) or the weights of the loss '{strategy.context.loss.settings.name}'."
    )
