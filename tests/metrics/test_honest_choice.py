"""Choosing between models by the spread of their groups: formulas against hand-made numbers, honesty by simulation."""

import numpy as np
import pytest
from scipy.stats import norm

from edgefair.metrics.group_spread import cells_of, signed_root, smoothed_right, squared_spread
from edgefair.metrics.honest_choice import Objective, Scored, honest_choice
from edgefair.predictions import LabelledRows


def rows_of(cells: np.ndarray, identities: np.ndarray | None = None) -> LabelledRows:
    """Labelled rows, cells[g, c] of each group and class."""
    groups, labels = np.indices(cells.shape)
    groups, labels = (np.repeat(part.ravel(), cells.ravel()) for part in (groups, labels))
    names = [tuple(f"{kind}{i}" for i in range(n)) for kind, n in zip("gc", cells.shape, strict=True)]
    ids = np.arange(len(labels)).astype(str)
    return LabelledRows(
        ids=ids, labels=labels, groups=groups, class_names=names[1], group_names=names[0], identities=identities
    )


def test_squared_spread_by_hand():
    # One class, two groups: means 0.8 and 0.4, variances of the means 0.02 and 0.08 (n - 1, over n = 2).
    values = np.array([[0.6, 1.0, 0.0, 0.8]])
    member = cells_of(np.zeros(4, int), np.array([0, 0, 1, 1]), 1, 2)
    between = 2 * 0.2**2  # two deviations of 0.2, over G - 1 = 1
    within = (np.var([0.6, 1.0], ddof=1) / 2 + np.var([0.0, 0.8], ddof=1) / 2) / 2
    assert squared_spread(values, member, 1) == pytest.approx([between - within])
    assert signed_root(np.array([0.09, -0.04])) == pytest.approx([0.3, -0.2])


def test_rows_without_group_and_cells_of_one_row_are_left_out():
    labels, groups = np.array([0, 0, 0, 0, 1, 1, 1]), np.array([0, 0, 1, 1, 0, 1, -1])
    values = np.array([[1.0, 0.0, 1.0, 1.0, 0.5, 0.1, 9.0]])
    whole = squared_spread(values, cells_of(labels, groups, 2, 2), 2)
    alone = squared_spread(values[:, :4], cells_of(labels[:4], groups[:4], 1, 2), 1)
    assert whole == pytest.approx(alone)
    assert np.isnan(squared_spread(values[:, 4:], cells_of(labels[4:], groups[4:], 2, 2), 2)).all()


def test_squared_spread_is_unbiased_where_every_cell_has_few_rows():
    rng, truth = np.random.default_rng(0), np.array([[0.9, 0.4], [0.6, 0.5], [0.75, 0.3]])  # [G, C]
    rows = rows_of(np.full((3, 2), 6))
    member = cells_of(rows.labels, rows.groups, 2, 3)
    draws = (rng.random((20_000, len(rows.ids))) < truth[rows.groups, rows.labels]).astype(float)
    assert squared_spread(draws, member, 2).mean() == pytest.approx(truth.var(axis=0, ddof=1).mean(), abs=1e-3)


def test_how_right_a_row_is_by_hand():
    logits, labels = np.array([[2.0, 0.0, 1.0], [0.0, 1.0, 3.0], [5.0, 5.0, 0.0]]), np.array([0, 1, 0])
    margin = np.array([1.0, -2.0, 0.0])
    assert smoothed_right(logits, labels) == pytest.approx(norm.cdf(margin / (0.5 * margin.std())), abs=0.01)
    assert smoothed_right(np.zeros((4, 2)), np.zeros(4, int)) == pytest.approx([0.5] * 4)


def test_less_sure_of_everything_is_not_fairer():
    rng, rows = np.random.default_rng(1), rows_of(np.full((2, 3), 200))
    logits = rng.normal(size=(len(rows.ids), 3)) + np.eye(3)[rows.labels] * (1 + rows.groups[:, None])
    assert np.ptp(Scored(rows, [logits, 0.1 * logits, 5 * logits]).gap()) == pytest.approx(0, abs=1e-6)


def test_the_objective_by_hand():
    accuracy, gap = np.array([0.8, 0.796, 0.75, 0.9]), np.array([0.3, 0.2, 0.05, 0.25])
    assert Objective("gap", 0.005).scores(accuracy, gap).argsort().tolist() == [1, 3, 0, 2]
    assert Objective("gap", 0.06).scores(accuracy, gap).argmin() == 2
    assert Objective("gap", 0.0).scores(accuracy, gap, grace=0.05).argmin() == 2
    assert Objective("tradeoff", lam=0.5).scores(accuracy, gap) == pytest.approx(-(accuracy - 0.5 * gap))


def noise_arms(rng, models, rows, strength=0.0):
    """Models whose rows are right independently, all alike; model 1 has a gap smaller by `strength`."""
    logits = []
    for model in range(models):
        lift = 1.2 - (0.8 - strength * (model == 1)) * rows.groups
        noise = rng.normal(size=(len(rows.ids), 2))
        logits.append(noise + lift[:, None] * np.eye(2)[rows.labels])
    return logits


def chosen_by(scored, objective):
    return lambda at: int(objective.scores(scored.accuracy(at), scored.gap(at)).argmin())


def test_among_arms_that_differ_by_chance_alone_the_honest_estimate_is_unbiased():
    rng, rows, objective = np.random.default_rng(2), rows_of(np.full((2, 2), 30)), Objective("gap", 0.05)
    naive, honest, claimed = [], [], 0
    for _ in range(60):
        scored = Scored(rows, noise_arms(rng, 8, rows))
        choose = chosen_by(scored, objective)
        naive.append(scored.gap()[choose(np.arange(len(rows.ids)))] - scored.gap()[0])
        found = honest_choice(scored, choose, 12, rng)
        honest.append(found.gap)
        claimed += found.shows_less(objective)
    error = np.std(honest) / np.sqrt(len(honest))
    assert abs(np.mean(honest)) < 3 * error
    assert np.mean(naive) < -5 * error
    assert claimed <= 0.15 * len(honest)


def test_a_large_effect_is_shown():
    rng, rows, objective = np.random.default_rng(3), rows_of(np.full((2, 2), 200)), Objective("gap", 0.05)
    scored = Scored(rows, noise_arms(rng, 4, rows, strength=0.8))
    found = honest_choice(scored, chosen_by(scored, objective), 50, rng)
    assert found.shows_less(objective)
    assert found.chosen.argmax() == 1
    assert found.disparity_high < 0


def test_nobodys_rows_are_in_both_halves():
    rng, cells = np.random.default_rng(4), np.full((2, 2), 12)
    rows = rows_of(cells, identities=(np.arange(48) // 3).astype(str))
    scored = Scored(rows, noise_arms(rng, 2, rows))
    seen = []
    honest_choice(scored, lambda at: seen.append(at) or 0, 5, rng)
    for first, second in zip(seen[::2], seen[1::2], strict=True):
        assert not set(rows.identities[first]) & set(rows.identities[second])
        assert len(first) + len(second) == 48
