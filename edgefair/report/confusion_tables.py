"""Confusion by group as the report shows it: full tables for few classes, the most frequent confusions for many."""

import numpy as np

MOST_CLASSES = 12
MOST_PAIRS = 20


def confusion_view(entry: dict, class_names: list[str], group_names: list[str]) -> dict:
    """{"artefact", "tables": [{group, rows: [{name, cells, total}]}]} or {"artefact", "pairs": [{true, taken, ..}]}.

    Cells are shares of the rows of a true class, None without rows.
    """
    counts = np.asarray(entry["metrics"]["confusion"])  # [G, C, C]
    totals = counts.sum(axis=-1, keepdims=True)
    shares = np.where(totals > 0, counts / np.maximum(totals, 1), np.nan)
    if len(class_names) > MOST_CLASSES:
        return {"artefact": entry["artefact"], "pairs": _most_frequent(counts, shares, class_names)}
    tables = [
        {
            "group": group,
            "rows": [
                {"name": name, "cells": [_known(x) for x in shares[g, c].tolist()], "total": int(totals[g, c, 0])}
                for c, name in enumerate(class_names)
            ],
        }
        for g, group in enumerate(group_names)
    ]
    return {"artefact": entry["artefact"], "tables": tables}


def _most_frequent(counts: np.ndarray, shares: np.ndarray, names: list[str]) -> list[dict]:
    wrong = counts.sum(axis=0)  # [true, taken for]
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_PAIRS]
    cells = [np.unravel_index(i, wrong.shape) for i in order if wrong.flat[i]]
    return [
        {
            "true": names[true],
            "taken": names[taken],
            "count": int(wrong[true, taken]),
            "cells": [_known(x) for x in shares[:, true, taken].tolist()],
        }
        for true, taken in cells
    ]


def _known(value: float) -> float | None:
    return None if value != value else value
