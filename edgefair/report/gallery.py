"""Sample images for the report: some of every (class, group) cell, and those whose prediction an artefact changed."""

import base64
import io

import numpy as np
from PIL import Image

from edgefair.artefacts import Artefact
from edgefair.data import Examples
from edgefair.predictions import Predictions

MAX_SIDE = 96


def gallery(
    artefacts: list[Artefact], predictions: dict[str, Predictions], examples: Examples, changed: int = 12
) -> dict:
    """Pictures as PNG data URLs.

    {"cells": [{class, group, images}],
     "changed": [{artefact, total, items: [{id, image, true, group, before, after}]}]}
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
    pairs = [(a.name, predictions[a.reference], predictions[a.name]) for a in artefacts if a.claim == "same"]
    return {
        "cells": cells,
        "changed": [{"artefact": name, **_changed(examples, rows, *pair, changed)} for name, *pair in pairs],
    }


def _cell(examples: Examples, rows: np.ndarray, label: int, group: int) -> np.ndarray:
    return rows[(examples.labels[rows] == label) & (examples.groups[rows] == group)]


def _changed(examples: Examples, rows: np.ndarray, before: Predictions, after: Predictions, most: int) -> dict:
    """Rows of another predicted class, those that became wrong first."""
    flipped = np.flatnonzero(before.predicted != after.predicted)
    order = flipped[np.argsort(before.predicted[flipped] != before.labels[flipped], kind="stable")]
    names, groups = examples.class_names, (*examples.group_names, "unknown")
    items = [
        {
            "id": str(before.ids[i]),
            "image": png(examples.images[rows[i]]),
            "true": names[before.labels[i]],
            "group": groups[before.groups[i]],
            "before": names[before.predicted[i]],
            "after": names[after.predicted[i]],
        }
        for i in order[:most]
    ]
    return {"total": len(flipped), "items": items}


def png(image: np.ndarray) -> str:
    """A uint8 [3, S, S] image as a data URL, at most 96 pixels wide."""
    picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
    if picture.width > MAX_SIDE:
        picture = picture.resize((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
