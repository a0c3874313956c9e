"""Sample images for the report: some of every (class, group) cell, and those whose prediction flipped on the way."""

import base64
import io
from itertools import zip_longest

import numpy as np
from PIL import Image

from edgefair.data import Examples
from edgefair.predictions import Predictions
from edgefair.runtimes.artefact import Artefact

MAX_SIDE = 96


def gallery(artefacts: list[Artefact], predictions: dict[str, Predictions], examples: Examples, most: int = 48) -> dict:
    """Pictures as PNG data URLs.

    {"cells": [{class, group, images}],
     "path": [artefact, ..],
     "flips": [{id, image, true, group, said: [class, ..] along the path, kinds: {step: "lost", "won" or "other"}}]}
    A step is the artefact whose prediction differs from its reference's.
    """
    rows = examples.rows["gate"]
    # Many cells share a page of about the same size.
    per_cell = max(1, min(3, 120 // (len(examples.class_names) * len(examples.group_names))))
    cells = [
        {
            "class": name,
            "group": group,
            "images": [png(examples.images[r]) for r in _cell(examples, rows, c, g)[:per_cell]],
        }
        for c, name in enumerate(examples.class_names)
        for g, group in enumerate(examples.group_names)
    ]
    path = [a for a in artefacts if a.runtime != "null"]
    kinds = {a.name: _kinds(predictions[a.reference], predictions[a.name]) for a in path if a.reference}
    names, groups = examples.class_names, (*examples.group_names, "unknown")
    flips = [
        {
            "id": str(examples.ids[rows[i]]),
            "image": png(examples.images[rows[i]]),
            "true": names[examples.labels[rows[i]]],
            "group": groups[examples.groups[rows[i]]],
            "said": [names[predictions[a.name].predicted[i]] for a in path],
            "kinds": {step: str(kind[i]) for step, kind in kinds.items() if kind[i]},
        }
        for i in _chosen(list(kinds.values()), examples.groups[rows], most)
    ]
    return {"cells": cells, "path": [a.name for a in path], "flips": flips}


def _cell(examples: Examples, rows: np.ndarray, label: int, group: int) -> np.ndarray:
    return rows[(examples.labels[rows] == label) & (examples.groups[rows] == group)]


def _kinds(before: Predictions, after: Predictions) -> np.ndarray:
    """What became of each row: "lost", "won", "other" (wrong, but otherwise), or "" where nothing changed: [N]."""
    right, now = before.predicted == before.labels, after.predicted == after.labels
    changed = before.predicted != after.predicted
    return np.select([right & ~now, ~right & now, changed], ["lost", "won", "other"], "")


def _chosen(kinds: list[np.ndarray], groups: np.ndarray, most: int) -> list[int]:
    """At most `most` rows, taken in turn from every step and group, those that became wrong first."""
    queues = [
        np.concatenate([np.flatnonzero((kind == what) & (groups == group)) for what in ("lost", "won", "other")])
        for kind in reversed(kinds)  # the last steps flip least and come first
        for group in np.unique(groups)
    ]
    turns = [row for turn in zip_longest(*(queue.tolist() for queue in queues)) for row in turn if row is not None]
    return list(dict.fromkeys(turns))[:most]


def png(image: np.ndarray) -> str:
    """A uint8 [3, S, S] image as a data URL, at most 96 pixels wide."""
    picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
    if picture.width > MAX_SIDE:
        picture = picture.resize((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
