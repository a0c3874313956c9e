"""The gate rows that the report shows as pictures: some of every (class, group) cell, and those that flipped."""

from itertools import zip_longest

import numpy as np

from edgefair.data import Examples
from edgefair.metrics.flips import UNKNOWN, row_changes
from edgefair.predictions import Predictions
from edgefair.runtimes.artefact import Artefact


def sample_rows(
    artefacts: list[Artefact], predictions: dict[str, Predictions], examples: Examples, most: int = 48
) -> dict:
    """Rows of `examples` by number, with what the report says of them.

    {"cells": [{class, group, rows}],
     "path": [artefact, ..],
     "flips": [{row, id, true, group, said: [class, ..] along the path, kinds: {step: "lost", "won" or "other"}}]}
    A step is the artefact whose prediction differs from its reference's. artefacts: in the order of the path.
    predictions: of the gate rows in their order, by artefact. most: the largest number of flips.
    """
    rows = examples.rows["gate"]
    # Many cells share a page of about the same size.
    per_cell = max(1, min(3, 120 // (len(examples.class_names) * len(examples.group_names))))
    cells = [
        {"class": name, "group": group, "rows": _of_cell(examples, rows, c, g)[:per_cell].tolist()}
        for c, name in enumerate(examples.class_names)
        for g, group in enumerate(examples.group_names)
    ]
    path = [one for one in artefacts if one.runtime != "null"]
    predicted = {one.name: predictions[one.name].predicted for one in path}
    labels = examples.labels[rows]
    kinds = {
        one.name: row_changes(labels, predicted[one.reference], predicted[one.name]) for one in path if one.reference
    }
    names, groups = examples.class_names, (*examples.group_names, UNKNOWN)
    flips = [
        {
            "row": int(rows[i]),
            "id": str(examples.ids[rows[i]]),
            "true": names[labels[i]],
            "group": groups[examples.groups[rows[i]]],
            "said": [names[predicted[one.name][i]] for one in path],
            "kinds": {step: str(kind[i]) for step, kind in kinds.items() if kind[i]},
        }
        for i in take_turns(list(kinds.values()), examples.groups[rows], most)
    ]
    return {"cells": cells, "path": [one.name for one in path], "flips": flips}


def take_turns(kinds: list[np.ndarray], groups: np.ndarray, most: int) -> list[int]:
    """At most `most` rows that changed, taken in turn from every step and group, those that became wrong first.

    kinds: what became of each row at each step, as `row_changes` says it, text [N]. groups: int [N].
    """
    queues = [
        np.concatenate([np.flatnonzero((kind == what) & (groups == group)) for what in ("lost", "won", "other")])
        for kind in reversed(kinds)  # the last steps flip least and come first
        for group in np.unique(groups)
    ]
    turns = [row for turn in zip_longest(*(queue.tolist() for queue in queues)) for row in turn if row is not None]
    return list(dict.fromkeys(turns))[:most]


def _of_cell(examples: Examples, rows: np.ndarray, label: int, group: int) -> np.ndarray:
    return rows[(examples.labels[rows] == label) & (examples.groups[rows] == group)]
