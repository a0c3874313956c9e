"""Examples: images with labels, groups and ids, and the five disjoint splits."""

import hashlib
from collections import Counter
from dataclasses import dataclass

import numpy as np

from edgefair.errors import DataError
from edgefair.files import digest
from edgefair.predictions import LabelledRows

SPLITS = ("train", "meta", "validation", "calibration", "gate")


@dataclass(frozen=True, kw_only=True)
class Examples(LabelledRows):
    """All images of a run; no identity is in two of the five splits.

    images    [N, 3, S, S] uint8, memory-mapped
    rows      the five splits: name -> int64 rows, pairwise disjoint
    about     what a report says of the data: source, terms, counts of skipped rows
    soft_groups [N] float32, a protected attribute in 0 .. 1, NaN where unknown (share of men in a picture)
    content   a hash of what all images were made from; empty where nobody computed one

    Raises DataError where this does not hold, or where training or gate rows are missing.
    """

    images: np.ndarray
    rows: dict[str, np.ndarray]
    about: dict
    soft_groups: np.ndarray | None = None
    content: str = ""

    def __post_init__(self):
        taken = np.concatenate([self.rows[name] for name in SPLITS])
        if len(np.unique(taken)) != len(taken):
            raise DataError("a row is in two of the five splits; training and gate rows must be disjoint.")
        for name in ("train", "validation", "calibration", "gate"):
            if not len(self.rows[name]):
                raise DataError(f"the data set has no {name} rows; give it more rows or set data.{name}_share above 0.")
        repeated = [id_ for id_, count in Counter(self.ids.tolist()).items() if count > 1]
        if repeated:
            raise DataError(
                f"id '{repeated[0]}' is in more than one row ({len(repeated)} such ids); ids must be unique."
            )

    def counts(self, name: str) -> np.ndarray:
        """Rows of a split in every (group, class) cell, int64 [G, C]; rows of unknown group are not counted."""
        return self.cell_counts(self.rows[name])

    def describe(self) -> dict:
        """What the report says of the data: names, counts, a hash of the ids of each split and of all else of a row."""
        return {
            **self.about,
            "class_names": list(self.class_names),
            "group_names": list(self.group_names),
            "image_size": self.images.shape[-1],
            "rows": {name: len(rows) for name, rows in self.rows.items()},
            "cells": {name: self.counts(name).tolist() for name in SPLITS},
            "id_hashes": {name: digest(self.ids[rows].tolist()) for name, rows in self.rows.items()},
            "content_hashes": {"images": self.content, **self._column_hashes()},
        }

    def _column_hashes(self) -> dict[str, str]:
        columns = {"labels": self.labels, "groups": self.groups, "soft_groups": self.soft_groups}
        hashes = {
            name: hashlib.sha256(np.ascontiguousarray(column).data).hexdigest()
            for name, column in columns.items()
            if column is not None
        }
        return hashes | ({} if self.identities is None else {"identities": digest(self.identities.tolist())})
