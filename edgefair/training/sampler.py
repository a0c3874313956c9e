"""Which rows an epoch shows, and in what order."""

import numpy as np


def order(labels: np.ndarray, groups: np.ndarray, sampling: str, rng: np.random.Generator) -> np.ndarray:
    """Positions of an epoch's rows, int64 [N]: all of them shuffled, or N drawn so as to balance.

    labels, groups [N]; rng draws. sampling: "shuffle" shows every row once, "class" draws every class as often, "group"
    every group, "cell" every (class, group) that has rows, "within-class" the groups of each class, which keeps its
    share: nothing is learned of the classes that the rows do not say. Rows of unknown group (-1) keep the share they
    have, since they belong to no group that could be balanced.

    A row that is expected k times comes floor(k) or ceil(k) times (systematic sampling): drawn independently, more than
    a third of the rows would be missing from an epoch even where nothing has to be balanced.
    """
    rows = rng.permutation(len(labels))
    if sampling == "shuffle":
        return rows
    expected = len(labels) * chances(labels, groups, sampling)[rows]
    edges = np.floor(np.cumsum(expected) + rng.random()).astype(np.int64)
    edges[-1:] = len(labels)  # a sum of floats may fall short
    return rng.permutation(np.repeat(rows, np.diff(edges, prepend=0)))


def chances(labels: np.ndarray, groups: np.ndarray, sampling: str) -> np.ndarray:
    """The chance of each row to be drawn next, [N], sum 1."""
    cells = labels * (groups.max(initial=0) + 1) + groups
    keys = {"class": labels, "group": groups, "cell": cells, "within-class": cells}[sampling]
    known = np.ones(len(labels), bool) if sampling == "class" else groups >= 0
    chance = np.full(len(labels), 1 / len(labels))
    found, first, place, count = np.unique(keys[known], return_index=True, return_inverse=True, return_counts=True)
    if len(found):
        share = np.full(len(found), 1 / len(found))
        if sampling == "within-class":
            _, of_class, groups_there = np.unique(labels[known][first], return_inverse=True, return_counts=True)
            share = np.bincount(of_class, count)[of_class] / count.sum() / groups_there[of_class]
        chance[known] = known.mean() * (share / count)[place]
    return chance / chance.sum()
