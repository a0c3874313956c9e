"""Which predictions changed from one model to the next, counted by group."""

import numpy as np

from edgefair.gate.verdict import align
from edgefair.predictions import Predictions


def flips_by_group(reference: Predictions, candidate: Predictions) -> list[dict]:
    """Rows of each group that were lost (right before), won (right now) or are wrong in another way.

    [{"group", "rows", "lost", "won", "other"}], rows of unknown group last and only where there are any.
    """
    pair = align(reference, candidate)
    before, after = pair.pred_ref == pair.labels, pair.pred_cand == pair.labels
    kinds = {
        "lost": before & ~after,
        "won": ~before & after,
        "other": (pair.pred_ref != pair.pred_cand) & ~before & ~after,
    }
    owners = [*enumerate(pair.group_names), *([(-1, None)] if (pair.groups < 0).any() else [])]
    return [
        {"group": name, "rows": int((pair.groups == g).sum())}
        | {kind: int(np.count_nonzero(rows & (pair.groups == g))) for kind, rows in kinds.items()}
        for g, name in owners
    ]
