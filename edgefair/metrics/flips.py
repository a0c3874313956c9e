"""Which examples, cells and classes changed between two sets of predictions of the same rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgefair.metrics.comparison import Pair
from edgefair.metrics.fairness import deo_max, mean_abs_disparity
from edgefair.metrics.hypothesis_tests import mcnemar_midp
from edgefair.metrics.intervals import paired_change_interval, wilson
from edgefair.metrics.paired import LOST, NEITHER, WON, disagreement, paired_outcomes
from edgefair.metrics.performance import softmax

SCHEMA = 1
UNKNOWN = "unknown"  # the group of a row that has none
_CHANGES = {LOST: "lost", WON: "won", NEITHER: "both wrong"}  # of a row whose predicted class differs


@dataclass(frozen=True)
class Flip:
    """One example that the two models put into different classes.

    margin is A's probability of its own class less A's probability of B's: near 0 a coin toss between two classes,
    near 1 a change of mind. margin_b is the same seen from B.
    """

    id: str
    label: str
    group: str
    a: str
    b: str
    margin: float
    margin_b: float
    change: str  # "lost" (A was right), "won" (B is right) or "both wrong"


def differences(pair: Pair) -> dict[str, Any]:
    """Everything that differs between A, the pair's reference, and B, its candidate, as JSON values.

    Intervals are of 95 %: Tango's for a change of accuracy, Wilson's for a share of changed predictions, both for as
    many rows as tell something of their own where one person is shown in several.
    """
    return {
        "schema": SCHEMA,
        "kind": "edgefair-compare",
        "rows": len(pair.labels),
        "accuracy": _accuracy(pair, slice(None)),
        "recall_gap_points": [_gaps(table) for table in pair.tables],
        "groups": [
            {"group": name, **_accuracy(pair, pair.groups == index)} for index, name in enumerate(pair.group_names)
        ],
        "classes": [
            {"class": name, **_accuracy(pair, pair.labels == index)} for index, name in enumerate(pair.class_names)
        ],
        "cells": cells(pair),
        "disagreement": _disagreement(pair),
        "class_names": list(pair.class_names),
        "flips": [vars(flip) for flip in list_flips(pair)],
    }


def cells(pair: Pair) -> list[dict[str, Any]]:
    """A row for every (group, class) cell: its rows, both recalls, rows lost and won, the change with its interval."""
    rows = []
    for group, label in np.ndindex(pair.counts.shape[:2]):
        counts = pair.counts[group, label]
        chosen = (pair.groups == group) & (pair.labels == label)
        rows.append(
            {
                "group": pair.group_names[group],
                "class": pair.class_names[label],
                **_accuracy(pair, chosen),
                "lost": int(counts[LOST]),
                "won": int(counts[WON]),
            }
        )
    return rows


def list_flips(pair: Pair) -> list[Flip]:
    """The examples whose class changed, the most decided of A first; equal margins in order of id."""
    rows = np.flatnonzero(pair.flipped)
    ours, theirs = softmax(pair.reference.logits[rows]), softmax(pair.candidate.logits[pair.order[rows]])  # [F, C]
    place = np.arange(len(rows))
    from_, to = pair.pred_ref[rows], pair.pred_cand[rows]
    margins = (ours[place, from_] - ours[place, to]).tolist()
    margins_b = (theirs[place, to] - theirs[place, from_]).tolist()
    flips = [
        Flip(
            id=str(pair.ids[row]),
            label=pair.class_names[pair.labels[row]],
            group=pair.group_names[pair.groups[row]] if pair.groups[row] >= 0 else UNKNOWN,
            a=pair.class_names[pair.pred_ref[row]],
            b=pair.class_names[pair.pred_cand[row]],
            margin=margin,
            margin_b=margin_b,
            change=_CHANGES[pair.outcomes[row]],
        )
        for row, margin, margin_b in zip(rows.tolist(), margins, margins_b, strict=True)
    ]
    return sorted(flips, key=lambda flip: (-flip.margin, flip.id))


def _accuracy(pair: Pair, rows: np.ndarray | slice) -> dict[str, Any]:
    """Of the chosen rows: both accuracies, lost and won, the change, McNemar's mid-p, and the flips."""
    lost, won, size, effect = pair.change(rows)
    labels, ours, theirs = pair.labels[rows], pair.pred_ref[rows], pair.pred_cand[rows]
    flips, _, flip_effect = pair.flips(rows)
    low, high = paired_change_interval(lost / effect, won / effect, size / effect)
    return {
        "rows": size,
        "accuracy_a": _share(int((ours == labels).sum()), size),
        "accuracy_b": _share(int((theirs == labels).sum()), size),
        "lost": lost,
        "won": won,
        "change_points": 100 * _share(won - lost, size),
        "change_interval_points": [100 * low, 100 * high],
        "mcnemar_midp": mcnemar_midp(lost, won),
        "flips": flips,
        "flip_rate": _share(flips, size),
        "flip_interval": wilson(flips / flip_effect, size / flip_effect).tolist(),
    }


def _disagreement(pair: Pair) -> list[list[int]]:
    """Rows by A's class and B's class, [C][C]: the diagonal is where they agree, whatever the label."""
    differ, agree = disagreement(pair.pred_ref, pair.pred_cand, pair.shape[0])
    table: list[list[int]] = (differ + np.diag(agree)).tolist()
    return table


def _gaps(table: np.ndarray) -> dict[str, float]:
    return {"mean": 100 * float(mean_abs_disparity(table)), "max": 100 * float(deo_max(table))}


def _share(count: int, size: int) -> float:
    return count / size if size else float("nan")


def row_changes(labels: np.ndarray, pred_ref: np.ndarray, pred_cand: np.ndarray) -> np.ndarray:
    """What became of each row, text [N]: "lost", "won", "other" (wrong before and after, in another way), or ""."""
    outcomes = paired_outcomes(labels, pred_ref, pred_cand)
    return np.select([outcomes == LOST, outcomes == WON, pred_ref != pred_cand], ["lost", "won", "other"], "")


def flips_by_group(pair: Pair) -> list[dict[str, Any]]:
    """Rows of each group that were lost (right before), won (right now) or are wrong in another way.

    [{"group", "rows", "lost", "won", "other"}], rows of unknown group last and only where there are any.
    """
    changes = row_changes(pair.labels, pair.pred_ref, pair.pred_cand)
    owners = [*enumerate(pair.group_names), *([(-1, None)] if (pair.groups < 0).any() else [])]
    return [
        {"group": name, "rows": int((pair.groups == g).sum())}
        | {kind: int(((changes == kind) & (pair.groups == g)).sum()) for kind in ("lost", "won", "other")}
        for g, name in owners
    ]
