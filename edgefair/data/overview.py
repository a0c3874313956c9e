"""What a data set has, before anyone trains on it: counts, missing cells, broken files, and what the rows support."""

from dataclasses import dataclass

import numpy as np

from edgefair.data import READERS, check_settings, load_examples
from edgefair.data.build import checked, dealt, indices, present
from edgefair.data.dataset import SPLITS, Examples
from edgefair.data.listing import Entry
from edgefair.log import Log
from edgefair.metrics.power import minimum_tolerances
from edgefair.predictions import LabelledRows
from edgefair.preprocess import decode_job
from edgefair.recipe.data_base import DataSettings, ImageFileSettings


class LazyImages:
    """Images by row, decoded when they are indexed."""

    def __init__(self, entries: list[Entry], size: int):
        self.entries, self.size = entries, size

    def __getitem__(self, row: int) -> np.ndarray:
        return decode_job(self.entries[row].image.job(), self.size)


@dataclass(frozen=True, kw_only=True)
class Overview(LabelledRows):
    """What Examples has, of a data set whose images are not decoded yet."""

    images: LazyImages
    rows: dict[str, np.ndarray]
    about: dict


def load_overview(settings: DataSettings, seed: int, log: Log, check: bool) -> Examples | Overview:
    """The data set of these settings, its draws by `seed`; broken and missing files are counted, and named in `log`.

    Files are decoded, and kept for training, only with `check`.
    """
    check_settings(settings)
    if isinstance(settings, ImageFileSettings):
        settings = settings.model_copy(update={"skip_broken": True})
        if not check:
            return _listed(settings, seed, log)
    return load_examples(settings, seed, log)


def _listed(settings: ImageFileSettings, seed: int, log: Log) -> Overview:
    listing = READERS[settings.name].read(settings, seed, log)
    class_names, group_names, entries = checked(listing, settings, seed)
    entries, missing = present(entries)
    labels, groups = indices(entries, class_names, group_names)
    rows, about = dealt(listing, entries, (labels, groups), (class_names, group_names), settings, seed)
    about |= {"broken_images": len(missing), "broken_examples": missing[:20]}
    return Overview(
        images=LazyImages(entries, settings.image_size),
        ids=np.array([entry.id for entry in entries]),
        labels=labels,
        groups=groups,
        class_names=class_names,
        group_names=group_names,
        rows=rows,
        about=about,
    )


def describe(data: Examples | Overview) -> dict:
    """Counts of every split and cell, cells without rows, and the smallest tolerances of the gate; JSON values."""
    cells = {name: data.cell_counts(data.rows[name]) for name in SPLITS}
    return {
        **data.about,
        "class_names": list(data.class_names),
        "group_names": list(data.group_names),
        "rows": {name: len(data.rows[name]) for name in SPLITS},
        "cells": {name: counts.tolist() for name, counts in cells.items()},
        "unknown_group": {name: int((data.groups[data.rows[name]] < 0).sum()) for name in SPLITS},
        "missing_cells": {name: data.empty_cells(data.rows[name]) for name in SPLITS if len(data.rows[name])},
        "smallest_tolerance": _supported(cells["gate"]),
    }


def _supported(counts: np.ndarray) -> list[dict]:
    """For each share of discordant rows the tolerances, points; NaN where a cell has no rows; none for one group."""
    if len(counts) < 2:
        return []
    return [row._asdict() for row in minimum_tolerances(counts)]
