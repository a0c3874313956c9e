"""A choice between models on the same rows, and what it is worth on rows that it did not see.

The best of many looks better than it is (winner's curse). So the choice is made again and again on one half of the rows
and judged on the other: the mean over halves is free of that, and their spread is the standard error of the whole, as
in a jackknife that deletes half the rows (Shao and Wu 1989).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from edgefair.metrics.cluster_bootstrap import identity_ids
from edgefair.metrics.confusion_matrix import confusion
from edgefair.metrics.fairness import mean_abs_disparity
from edgefair.metrics.group_spread import cells_of, signed_root, smoothed_right, squared_spread
from edgefair.metrics.noise_floor import noise_floor
from edgefair.predictions import LabelledRows


@dataclass(frozen=True)
class Objective:
    """What is best. The first model is the baseline.

    kind            "gap": the least gap among those that lose at most `max_accuracy_loss` of accuracy beside the
                    baseline; "tradeoff": the largest accuracy - lam * gap (Bang et al., section 2)
    max_accuracy_loss, lam   a share of one; a factor

    The gap is `signed_root(squared_spread)`, in shares of one.
    """

    kind: str = "gap"
    max_accuracy_loss: float = 0.005
    lam: float = 0.5

    def scores(self, accuracy: np.ndarray, gap: np.ndarray, grace: np.ndarray | float = 0.0) -> np.ndarray:
        """A number for each model [K], less is better; who loses too much comes after all others, the least loss first.

        grace: what a model may lose in addition, such as a standard error.
        """
        if self.kind == "tradeoff":
            weighed: np.ndarray = self.lam * gap - accuracy
            return weighed
        excess = accuracy[0] - accuracy - self.max_accuracy_loss - grace
        over: np.ndarray = np.where(excess > 1e-12, 10.0 + excess, gap)
        return over


class Scored:
    """K models on the same N rows, as their logits make them: right or not, and how right; [K, N] each.

    Raises ValueError for no model.
    """

    def __init__(self, rows: LabelledRows, logits: list[np.ndarray]):
        if not logits:
            raise ValueError("no model is given; one or more are needed.")
        self.rows, (self.num_classes, self.num_groups) = rows, rows.shape
        self.predicted = np.stack([one.argmax(axis=1) for one in logits])  # [K, N]
        self.right = (self.predicted == rows.labels).astype(np.float64)
        self.smoothed = np.stack([smoothed_right(one, rows.labels) for one in logits])
        self.member = cells_of(rows.labels, rows.groups, *rows.shape)

    def accuracy(self, at: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Share of the rows that are right, [K]."""
        share: np.ndarray = self.right[:, at].mean(axis=1)
        return share

    def accuracy_error(self) -> np.ndarray:
        """Standard error of each model's accuracy minus the first one's, on the same rows: [K]."""
        error: np.ndarray = (self.right - self.right[0]).std(axis=1) / np.sqrt(self.right.shape[1])
        return error

    def squared(self, at: np.ndarray | slice = slice(None)) -> np.ndarray:
        """`squared_spread` of how right the rows are, [K]."""
        return squared_spread(self.smoothed[:, at], self.member[at], self.num_classes)

    def gap(self, at: np.ndarray | slice = slice(None)) -> np.ndarray:
        """What is chosen by, [K]."""
        return signed_root(self.squared(at))

    def disparity(self, at: np.ndarray | slice = slice(None)) -> np.ndarray:
        """The reported figure, `mean_abs_disparity` of the predictions, [K]."""
        return np.array([mean_abs_disparity(self.table(model, at)) for model in range(len(self.right))])

    def floor(self, model: int, draws: int, rng: np.random.Generator) -> float:
        """The noise floor of a model's disparity."""
        return float(noise_floor(self.table(model), "mean_abs_disparity", draws, rng).mean)

    def table(self, model: int, at: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Confusion tensor [G, C, C] of a model."""
        labels, groups = self.rows.labels[at], self.rows.groups[at]
        return confusion(labels, self.predicted[model, at], groups, self.num_classes, self.num_groups)


@dataclass(frozen=True)
class Honest:
    """What a choice changes beside the baseline on rows that it did not see; shares of one, over random halves.

    gap, disparity, accuracy   mean change of `Scored.gap`, of the reported disparity, of accuracy
    disparity_high             the change of the reported disparity that 90 % of the halves stay below
    smaller                    share of the halves in which the gap is smaller than the baseline's
    chosen                     share of the halves in which each model is chosen, [K]
    """

    gap: float
    disparity: float
    disparity_high: float
    accuracy: float
    smaller: float
    chosen: np.ndarray

    def shows_less(self, objective: Objective, confidence: float = 0.9) -> bool:
        """Whether the chosen model's gap is smaller in this share of the halves, at no more than the allowed loss.

        The reported disparity, which has more noise, must not grow on average.
        """
        allowed = objective.kind == "tradeoff" or self.accuracy >= -objective.max_accuracy_loss
        return self.smaller >= confidence and max(self.gap, self.disparity) < 0 and allowed


def honest_choice(scored: Scored, choose: Callable[[np.ndarray], int], draws: int, rng: np.random.Generator) -> Honest:
    """`choose(rows)` on one half of the rows, judged on the other beside model 0; both ways, for `draws` splits."""
    baseline, changes, chosen, smaller = 0, [], np.zeros(len(scored.right)), []
    for first, second in halves(scored.rows, draws, rng):
        for seen, unseen in ((first, second), (second, first)):
            model = choose(seen)
            chosen[model] += 1
            squared, accuracy = scored.squared(unseen)[[baseline, model]], scored.accuracy(unseen)[[baseline, model]]
            disparity = np.array([mean_abs_disparity(scored.table(one, unseen)) for one in (baseline, model)])
            smaller.append(bool(squared[1] < squared[0]))
            changes.append([np.diff(one)[0] for one in (signed_root(squared), disparity, accuracy)])
    gap, disparities, accuracies = np.array(changes).T
    with np.errstate(invalid="ignore"):
        high = float(np.quantile(disparities, 0.9))
    return Honest(
        gap=float(gap.mean()),
        disparity=float(disparities.mean()),
        disparity_high=high,
        accuracy=float(accuracies.mean()),
        smaller=float(np.mean(smaller)),
        chosen=chosen / chosen.sum(),
    )


def halves(rows: LabelledRows, draws: int, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Both halves of a random split inside each (group, class) cell, `draws` times; nobody's rows are in both."""
    who = np.arange(len(rows.ids)) if rows.identities is None else identity_ids(rows.identities, len(rows.ids))
    _, first, unit = np.unique(who, return_index=True, return_inverse=True)
    stratum = (rows.groups * len(rows.class_names) + rows.labels)[first]  # [units]
    for _ in range(draws):
        order = np.lexsort((rng.random(len(first)), stratum))
        side = np.empty(len(first), bool)
        side[order] = (np.arange(len(first)) + rng.integers(2)) % 2 == 0
        chosen = side[unit]
        yield np.flatnonzero(chosen), np.flatnonzero(~chosen)
