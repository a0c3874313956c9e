"""Learning-rate range test: Smith, "Cyclical learning rates for training neural networks" (WACV 2017), section 3.3."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from edgefair.errors import TrainingError
from edgefair.seeds import derive
from edgefair.strategies import Strategy
from edgefair.training.loader import BatchLoader

SMOOTH = 0.9  # weight of what was seen before in the running mean of the loss
DIVERGED = 4.0  # the test ends where that mean is so many times its smallest value


@dataclass(frozen=True)
class Finding:
    """Learning rates in the order tried, the loss before each step, its running mean, and two readings of the curve."""

    rates: list[float]
    losses: list[float]
    smooth: list[float]
    steepest: float  # where the loss falls fastest
    lowest: float  # where it is smallest

    @property
    def fall(self) -> float:
        """By what share of its first value the smoothed loss fell."""
        return 1 - min(self.smooth) / self.smooth[0]

    @property
    def suggestion(self) -> float:
        """The rate of the steepest fall, but not above a tenth of that where the loss is smallest."""
        return min(self.steepest, self.lowest / 10)


def find(
    strategy: Strategy,
    loader: BatchLoader,
    low: float,
    high: float,
    steps: int,
    advance: Callable[[int], None] = lambda _: None,
) -> Finding:
    """Take steps with a learning rate that grows geometrically from `low` to `high`; the student is spoiled by it.

    The batches are those of `loader`, epoch after epoch; `strategy` takes up to `steps` steps, `advance` hears of each.

    Raises TrainingError where the loss is not finite within the first ten steps, or never falls.
    """
    growth = (high / low) ** (1 / max(1, steps - 1))
    strategy.context.rate = lambda done: low * growth**done / strategy.context.train.lr
    losses: list[float] = []
    for batch in _batches(strategy, loader, steps):
        losses.append(strategy.step(batch)["task"])
        advance(1)
        smooth = running_mean(losses)
        if not math.isfinite(losses[-1]) or smooth[-1] > DIVERGED * min(smooth):
            break
    losses = [value for value in losses if math.isfinite(value)]
    return read([low * growth**step for step in range(len(losses))], losses)


def _batches(strategy: Strategy, loader: BatchLoader, steps: int):
    """So many batches, epoch after epoch, with dropout drawn from the loader's seed."""
    cuda = [strategy.device] if strategy.device.type == "cuda" else []
    strategy.context.student.train()
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(derive(loader.seed, "dropout", "lr-find"))
        strategy.start_epoch(1)
        strategy.measure_gradients = False
        for step in range(steps):
            if step % loader.steps == 0:
                batches = loader.epoch(1 + step // loader.steps)
            yield next(batches)


def running_mean(losses: list[float]) -> list[float]:
    """Exponential mean of what came so far, corrected for its beginning at zero."""
    mean, means = 0.0, []
    for step, loss in enumerate(losses, start=1):
        mean = SMOOTH * mean + (1 - SMOOTH) * loss
        means.append(mean / (1 - SMOOTH**step))
    return means


def read(rates: list[float], losses: list[float]) -> Finding:
    """Find the steepest fall of the smoothed loss over the logarithm of the rate, before its minimum."""
    smooth = running_mean(losses)
    lowest = int(np.argmin(smooth)) if len(smooth) >= 10 else 0
    if lowest < 2:
        raise TrainingError(
            "no learning rate "
            f"from {rates[0] if rates else float('nan'):g} on makes the loss fall ({len(losses)} steps "
            "were taken). Begin lower (--low), take more steps (--steps), or see whether the labels fit the images."
        )
    slopes = np.gradient(np.array(smooth), np.log(rates))
    settled = min(len(smooth) // 10, lowest)  # the mean of the first few losses falls or rises by chance
    steepest = settled + int(np.argmin(slopes[settled : lowest + 1]))
    return Finding(rates, losses, smooth, rates[steepest], rates[lowest])
