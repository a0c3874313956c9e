"""Which rows an epoch shows, and in what order."""

import numpy as np


def order(labels: np.ndarray, groups: np.ndarray, sampling: str, rng: np.random.Generator) -> np.ndarray:
    """Positions of an epoch's rows, int64 [N]: all of them shuffled, or N drawn with replacement so as to balance.

    labels, groups [N]; rng draws. sampling: "shuffle" shows every row once, "class" draws every class as often, "group"
    every group, "cell" every (class, group) that has rows. Rows of unknown group (-1) keep the share they have, since
    they belong to no group that could be balanced.
    """
    if sampling == "shuffle":
        return rng.permutation(len(labels))
    return rng.choice(len(labels), len(labels), p=chances(labels, groups, sampling))


def chances(labels: np.ndarray, groups: np.ndarray, sampling: str) -> np.ndarray:
    """The chance of each row to be drawn next, [N], sum 1."""
    keys = {"class": labels, "group": groups, "cell": labels * (groups.max(initial=0) + 1) + groups}[sampling]
    known = np.ones(len(labels), bool) if sampling == "class" else groups >= 0
    chance = np.full(len(labels), 1 / len(labels))
    found, place, count = np.unique(keys[known], return_inverse=True, return_counts=True)
    if len(found):
        chance[known] = known.mean() / (len(found) * count[place])
    return chance / chance.sum()
