"""The learning rate over the steps of a training."""

import math

from edgefair.recipe.training import TrainRecipe


def schedule(done: int, steps: int, train: TrainRecipe) -> float:
    """Share of the peak learning rate for the step after `done` of `steps`: warm-up, then the recipe's shape.

    Linear over the first `warmup` of the steps; then cosine to zero (Loshchilov and Hutter, "SGDR", ICLR 2017, without
    restarts), a factor for every milestone that is passed, or 1.
    """
    warmup = max(1, int(steps * train.warmup)) if train.warmup else 0
    if done < warmup:
        return (done + 1) / warmup
    if train.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * (done - warmup) / max(1, steps - warmup)))
    if train.schedule == "step":
        return train.step_factor ** sum(done >= share * steps for share in train.milestones)
    return 1.0
