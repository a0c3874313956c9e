"""What a user should know before waiting for more epochs: one sentence each, with what to do.

`before_training` looks at the training rows alone, `after_first_epoch` at what the first epoch logged and predicted.
Each check gives its sentence, or None where there is nothing to say.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from edgefair.errors import listed
from edgefair.metrics.noise_floor import noise_floor
from edgefair.recipe.strategies import AdversarialSettings
from edgefair.seeds import generator
from edgefair.strategies import Strategy
from edgefair.training.loader import BatchLoader
from edgefair.training.sampler import chances

ENTANGLED = (
    0.2  # Cramer's V of class and group from which an adversary that does not know the class punishes right answers
)
ONE_CLASS = 0.95  # share of the predictions that one class has
LITTLE_VARIETY = 0.5  # entropy of the predictions as a share of that of the classes
ENOUGH = 10  # validation rows of a class of which some prediction is expected
AT_CHANCE, CERTAIN = 0.98, 0.1  # the adversary's loss as a share of the entropy of the groups
DWARFS, VANISHES = 10.0, 1e-3  # gradient of the strategy's terms as a share of the task's
DRAWS, MOST_CELLS = 200, 100_000  # of the noise floor; with more counts in the table it would take minutes


class FirstEpoch(NamedTuple):
    """Lines for the log, warnings for log and report, and figures for the history."""

    lines: list[str]
    warnings: list[str]
    figures: dict[str, float]


def before_training(strategy: Strategy, loader: BatchLoader) -> list[str]:
    """Warnings that the training rows give, as the loader draws them."""
    found = entangled(strategy, expected_cells(strategy, loader))
    return [found] if found else []


def after_first_epoch(
    strategy: Strategy, loader: BatchLoader, row: dict[str, Any], table: np.ndarray, name: str
) -> FirstEpoch:
    """What the first epoch showed.

    strategy, loader: of the training. row: the means of the epoch's terms and the validation figures. table: counts of
    validation predictions [G, C, C] = [group, true, predicted]. name: teacher or student, for the sentences.
    """
    lines, figures, gap = [], {}, None
    if len(table) > 1 and table.size <= MOST_CELLS and not np.isnan(row["validation_disparity"]):
        floor = noise_floor(table, "mean_abs_disparity", DRAWS, generator(loader.seed, "validation floor"))
        figures["validation_disparity_floor"] = float(floor.mean)
        points = 100 * float(floor.observed), 100 * float(floor.mean)
        lines.append(f"validation disparity {points[0]:.1f} points beside a noise floor of {points[1]:.1f}")
        gap = within_noise(float(floor.observed), float(floor.mean), float(floor.q95))
    remedy = _remedy(strategy, name)
    names = strategy.context.class_names
    one = one_class(table, names, name, remedy)
    adversary = adversary_extreme(strategy, row, expected_cells(strategy, loader))
    found = [
        one or never_predicted(table, names, name, remedy) or little_variety(table, name, remedy),
        None if one else gap,
        adversary,
        gradient_out_of_scale(strategy, row),
    ]
    return FirstEpoch(lines, [sentence for sentence in found if sentence], figures)


def expected_cells(strategy: Strategy, loader: BatchLoader) -> np.ndarray:
    """Rows of every (group, class) cell that an epoch is expected to draw, [G, C]; unknown groups are left out."""
    labels, groups = loader.labels.cpu().numpy(), loader.groups.cpu().numpy()
    weight = np.ones(len(labels))
    if loader.sampling != "shuffle":
        weight = len(labels) * chances(labels, groups, loader.sampling)
    cells = np.zeros((strategy.context.num_groups, len(strategy.context.class_names)))
    known = groups >= 0
    np.add.at(cells, (groups[known], labels[known]), weight[known])
    return cells


def cramers_v(cells: ArrayLike) -> float:
    """Cramer's V of a table [G, C], sqrt(chi^2 / (n (min(G, C) - 1))): 0 independent, 1 one tells the other.

    Empty rows and columns are left out; 0 where fewer than two of either are left.
    """
    table = np.asarray(cells, float)
    table = table[table.sum(1) > 0][:, table.sum(0) > 0]
    if min(table.shape) < 2:
        return 0.0
    expected = np.outer(table.sum(1), table.sum(0)) / table.sum()
    squared = ((table - expected) ** 2 / expected).sum() / table.sum()
    return math.sqrt(squared / (min(table.shape) - 1))


def entropy(counts: ArrayLike) -> float:
    """Entropy of counts in nats; 0 where there are none."""
    share = np.asarray(counts, float) / max(float(np.sum(counts)), 1e-300)
    share = share[share > 0]
    return float(-(share * np.log(share)).sum())


def group_entropy(cells: ArrayLike, conditional: bool) -> float:
    """What a guess of the group costs who knows nothing else, H(G), or the class alone, H(G | C); nats."""
    table = np.asarray(cells, float)
    if not conditional:
        return entropy(table.sum(1))
    return float(sum(column.sum() * entropy(column) for column in table.T) / max(table.sum(), 1e-300))


def entangled(strategy: Strategy, cells: np.ndarray) -> str | None:
    """Class and group go together, and an adversary that does not know the class would punish right answers."""
    settings, v = strategy.settings, cramers_v(cells)
    if not isinstance(settings, AdversarialSettings) or settings.conditional or not settings.lam or v < ENTANGLED:
        return None
    return (
        f"class and group go together in the training rows (Cramer's V {v:.2f}; 0 is independent, 1 says that one "
        "tells the other): an adversary that does not know the class punishes right answers. Set "
        "strategy.conditional to true, or train.sampling to cell."
    )


def within_noise(gap: float, floor: float, q95: float) -> str | None:
    """The validation gap is one that chance gives, so that no change of it will show."""
    if gap > q95:
        return None
    return (
        f"the validation gap of {100 * gap:.1f} points is within its noise floor (by chance {100 * floor:.1f}, up to "
        f"{100 * q95:.1f} in 95 of 100 deals): these rows cannot show yet whether a strategy helps. If that stays, "
        "give more validation rows (data.validation_share, data.max_rows)."
    )


def one_class(table: np.ndarray, class_names: tuple[str, ...], name: str, remedy: str) -> str | None:
    """Nearly all predictions are one class, though the rows are not."""
    predicted, true = table.sum((0, 1)), table.sum((0, 2))
    if not predicted.sum() or predicted.max() < ONE_CLASS * predicted.sum() or true.max() >= ONE_CLASS * true.sum():
        return None
    at = int(predicted.argmax())
    return (
        f"the {name} says '{class_names[at]}' of {100 * predicted[at] / predicted.sum():.0f} % of the validation rows "
        f"(true of {100 * true[at] / true.sum():.0f} %) after the first epoch; a gap of 0 means nothing then. If the "
        f"next epochs do not change that, {remedy}"
    )


def never_predicted(table: np.ndarray, class_names: tuple[str, ...], name: str, remedy: str) -> str | None:
    """Classes with rows that no row is predicted to be."""
    predicted, true = table.sum((0, 1)), table.sum((0, 2))
    never = [class_names[at] for at in np.flatnonzero((predicted == 0) & (true >= ENOUGH))]
    if not never:
        return None
    return (
        f"the {name} never says {listed([repr(each) for each in never])} of a validation row after the first epoch. If "
        f"the next epochs do not change that, {remedy}"
    )


def little_variety(table: np.ndarray, name: str, remedy: str) -> str | None:
    """The predictions have far less entropy than the classes."""
    predicted, true = entropy(table.sum((0, 1))), entropy(table.sum((0, 2)))
    if not true or predicted >= LITTLE_VARIETY * true:
        return None
    return (
        f"the {name}'s predictions have {100 * predicted / true:.0f} % of the entropy of the classes after the first "
        f"epoch: it says little but the most frequent ones. If the next epochs do not change that, {remedy}"
    )


def adversary_extreme(strategy: Strategy, row: dict[str, Any], cells: np.ndarray) -> str | None:
    """The adversary is no better than a guess, so that its gradient says nothing, or certain."""
    settings = strategy.settings
    if not isinstance(settings, AdversarialSettings) or settings.target != "group" or "adversary" not in row:
        return None
    weights = np.array([settings.class_weights.get(name, 1.0) for name in strategy.context.class_names])
    chance = group_entropy(cells * weights, settings.conditional)
    reached = row.get("adversary_at_end", row["adversary"])  # its first steps, while it learns, say nothing
    share = reached / chance if chance else 0.5
    beside = f"{reached:.2f} nats, a guess costs {chance:.2f}"
    if share > AT_CHANCE:
        return (
            f"the adversary guesses the group no better than chance after the first epoch ({beside}): there is nothing "
            f"to unlearn from the {settings.adversary_input}, or it is too weak. Compare with --strategy plain; let it "
            "see more (strategy.adversary_input=features) or learn faster (strategy.adversary_steps, "
            "strategy.adversary_lr)."
        )
    if share < CERTAIN:
        return (
            f"the adversary is certain of the group after the first epoch ({beside}): the {settings.adversary_input} "
            f"give it away, and the student does not unlearn it. Raise --lambda (now {settings.lam:g}), weaken the "
            "adversary (strategy.adversary_steps=1), or balance the cells (train.sampling=cell)."
        )
    return None


def gradient_out_of_scale(strategy: Strategy, row: dict[str, Any]) -> str | None:
    """The strategy's own terms pull far more than the task, or next to not at all, at the first step."""
    norms = {name.removeprefix("gradient_"): value for name, value in row.items() if name.startswith("gradient_")}
    own = math.hypot(*(norms[name] for name in strategy.extra_terms if name in norms))
    task = math.hypot(*(value for name, value in norms.items() if name not in strategy.extra_terms))
    if not task or not any(name in norms for name in strategy.extra_terms) or not strategy.settings.lam:
        return None
    ratio, lam = own / task, strategy.settings.lam
    pull = f"the terms of strategy '{strategy.settings.name}' pull {ratio:.2g} times as hard as the task"
    if ratio > DWARFS:
        return f"{pull}: the student will follow them and not learn the task. Lower --lambda (now {lam:g})."
    if ratio < VANISHES:
        return f"{pull}: they will change nothing. Raise --lambda (now {lam:g}), or leave the strategy out."
    return None


def _remedy(strategy: Strategy, name: str) -> str:
    """What to change about a network that says too little."""
    rate = (
        f"another learning rate ({'teacher' if name == 'teacher' else 'train'}.lr, now {strategy.context.train.lr:g})"
    )
    if strategy.settings.lam and strategy.settings.name != "plain":
        return f"lower --lambda (now {strategy.settings.lam:g} of '{strategy.settings.name}'), or try {rate}."
    return f"try {rate}, or classes drawn as often (sampling=class)."
