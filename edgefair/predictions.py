"""Predictions of one artefact on one runtime on one device: all that metrics, gate and report ever see."""

import json
import zipfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from edgefair.errors import DataError
from edgefair.files import atomic_path

SCHEMA = 1


@dataclass(frozen=True)
class Predictions:
    """Logits with the ids, labels and groups of the rows they belong to.

    ids     [N] text, unique: the example each row is about
    labels  [N] int64, 0 .. len(class_names) - 1
    groups  [N] int64, 0 .. len(group_names) - 1, or -1 where the group is unknown
    logits  [N, C] float32, finite
    about   what made them: artefact, SHA-256, runtime, versions, device, data hash (JSON values only)

    Raises DataError where a field does not fit this description.
    """

    ids: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    logits: np.ndarray
    class_names: tuple[str, ...]
    group_names: tuple[str, ...]
    about: dict = field(default_factory=dict)

    def __post_init__(self):
        n = len(self.ids)
        shape = (n, len(self.class_names))
        for name in ("ids", "labels", "groups"):
            if getattr(self, name).shape != (n,):
                raise DataError(
                    f"predictions: '{name}' has shape {getattr(self, name).shape}; ids say it must be ({n},)."
                )
        if self.logits.shape != shape:
            raise DataError(
                f"predictions: logits have shape {self.logits.shape}; {n} ids and the class names need {shape}."
            )
        bad = np.flatnonzero(~np.isfinite(self.logits).all(axis=1))
        if len(bad):
            raise DataError(
                f"predictions: the logits of {len(bad)} of {n} rows are not finite, first id '{self.ids[bad[0]]}'. "
                "A model that returns NaN or infinity cannot be judged; look for overflow (fp16) or broken weights."
            )
        if len(np.unique(self.ids)) != n:
            values, counts = np.unique(self.ids, return_counts=True)
            raise DataError(
                f"predictions: id '{values[counts > 1][0]}' stands in more than one row; ids must be unique."
            )
        _check_range("label", self.labels, 0, len(self.class_names), self.ids)
        _check_range("group", self.groups, -1, len(self.group_names), self.ids)

    @cached_property
    def predicted(self) -> np.ndarray:
        """The class with the largest logit of each row, int64 [N]; the lowest index wins a tie."""
        return self.logits.argmax(axis=1)

    def save(self, path: Path) -> None:
        """Write one .npz file, whole or not at all."""
        header = {
            "schema": SCHEMA,
            "class_names": list(self.class_names),
            "group_names": list(self.group_names),
            "about": self.about,
        }
        with atomic_path(path) as temporary, open(temporary, "wb") as stream:
            np.savez_compressed(
                stream,
                header=np.array(json.dumps(header)),
                ids=self.ids.astype(np.str_),
                labels=self.labels.astype(np.int64),
                groups=self.groups.astype(np.int64),
                logits=self.logits.astype(np.float32),
            )

    @staticmethod
    def load(path: Path) -> "Predictions":
        """Read a file written by `save`; raises DataError where it is missing, truncated or of another schema."""
        try:
            with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as stored:
                header = json.loads(str(stored["header"]))
                arrays = {name: stored[name] for name in ("ids", "labels", "groups", "logits")}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(
                f"{path} is not a readable predictions file ({error}). Make it again with edgefair."
            ) from error
        if header.get("schema") != SCHEMA:
            raise DataError(f"{path} has predictions schema {header.get('schema')}; this version reads {SCHEMA}.")
        return Predictions(
            **arrays,
            class_names=tuple(header["class_names"]),
            group_names=tuple(header["group_names"]),
            about=header["about"],
        )


def _check_range(what: str, values: np.ndarray, low: int, high: int, ids: np.ndarray) -> None:
    if not np.issubdtype(values.dtype, np.integer):
        raise DataError(f"predictions: {what}s are {values.dtype}; integers are needed.")
    bad = np.flatnonzero((values < low) | (values >= high))
    if len(bad):
        raise DataError(
            f"predictions: {what} {values[bad[0]]} of id '{ids[bad[0]]}' is outside {low} .. {high - 1} "
            f"({len(bad)} such rows). Declare every {what} before predicting."
        )
