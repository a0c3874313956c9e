"""The noise floor of a disparity: the metric with group labels permuted inside each class."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from edgefair.metrics.fairness import METRICS

Metric: TypeAlias = str | Callable[[np.ndarray], float | np.ndarray]
"""A key of METRICS, or a function of tables [..., G, C, C] to [...] or [..., C]."""
_CHUNK_CELLS = 1 << 23  # 64 MiB of int64 tables at a time


class NoiseFloor(NamedTuple):
    """What a disparity would be by chance alone, in the metric's unit; arrays for a metric with a value per class."""

    mean: float | np.ndarray  # mean over permutations
    q95: float | np.ndarray  # 95 % quantile over permutations
    p_value: float | np.ndarray  # share of permutations at least as unequal, +1 in numerator and denominator
    observed: float | np.ndarray  # the metric itself


def noise_floor(confusion: ArrayLike, metric: Metric, draws: int, rng: np.random.Generator) -> NoiseFloor:
    """The metric on one confusion tensor [G, C, C] beside its distribution over `draws` permutations of the groups.

    Group labels are permuted inside each class, which keeps the size of every (group, class) cell and every prediction;
    only who got which prediction is by chance. metric: a key of METRICS or a function of tables [..., G, C, C] to [...]
    or [..., C]. Undefined gives NaN.
    """
    return chance_floor(*permuted_values(confusion, metric, draws, rng))


def permuted_values(
    confusion: ArrayLike, metric: Metric, draws: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The metric on `confusion` itself, [...], and on each of `draws` permutations, [draws, ...]; see `noise_floor`."""
    confusion = np.asarray(confusion)
    value = METRICS[metric] if isinstance(metric, str) else metric
    observed = np.asarray(value(confusion), dtype=np.float64)  # [...]
    chunk = max(1, _CHUNK_CELLS // confusion.size)
    parts = [min(chunk, draws - start) for start in range(0, draws, chunk)]
    return observed, np.concatenate([value(permuted_tables(confusion, size, rng)) for size in parts])  # [draws, ...]


def chance_floor(observed: np.ndarray, chance: np.ndarray) -> NoiseFloor:
    """The floor that values under permutation, [draws, ...], make for what was observed, [...]."""
    draws = len(chance)
    undefined = np.where(np.isnan(observed) | np.isnan(chance).any(axis=0), np.nan, 0.0)
    as_unequal = (chance >= observed - 1e-12).sum(axis=0)  # equal tables may differ in the last bit
    values = (chance.mean(axis=0), np.quantile(chance, 0.95, axis=0), (as_unequal + 1) / (draws + 1))
    mean, q95, p_value = ((value + undefined)[()] for value in values)
    return NoiseFloor(mean, q95, p_value, observed[()])


def permuted_tables(confusion: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Tables after a random permutation of groups inside each true class: int64 [draws, G, C, C].

    A multivariate hypergeometric draw for each group from what the groups before it left, written as hypergeometric
    draws class by class because those broadcast over draws and true classes.
    """
    num_groups, num_classes, _ = confusion.shape
    support = confusion.sum(axis=-1)  # [G, true]
    left = np.repeat(confusion.sum(axis=0)[None], draws, axis=0)  # [draws, true, predicted]
    tables = np.zeros((draws, *confusion.shape), dtype=np.int64)
    for group in range(num_groups - 1):
        need = np.repeat(support[group][None], draws, axis=0)  # [draws, true]
        rest = left.sum(axis=-1)  # [draws, true]
        for predicted in range(num_classes):
            rest = rest - left[:, :, predicted]
            tables[:, group, :, predicted] = rng.hypergeometric(left[:, :, predicted], rest, need)
            need = need - tables[:, group, :, predicted]
        left -= tables[:, group]
    tables[:, -1] = left
    return tables
