"""Labelled rows, and the predictions of one artefact on them: all that metrics, gate and report ever see."""

import json
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from edgefair.errors import DataError
from edgefair.files import atomic_path

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class LabelledRows:
    """What is known of each row, with the declared names; every table of rows adds its own columns to these.

    ids         [N] text, unique: the example each row is about
    labels      [N] int64, 0 .. len(class_names) - 1
    groups      [N] int64, 0 .. len(group_names) - 1, or -1 where the group is unknown
    identities  [N] text, who is shown, "" where unknown; None where nobody is shown twice or it is not known
    """

    ids: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    class_names: tuple[str, ...]
    group_names: tuple[str, ...]
    identities: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(number of classes, number of groups)."""
        return len(self.class_names), len(self.group_names)

    @property
    def rows_without_group(self) -> int:
        """Rows whose group is unknown."""
        return int((self.groups < 0).sum())

    def cell_name(self, group: int, label: int) -> str:
        """A (group, class) cell by its declared names."""
        return f"{self.group_names[group]}/{self.class_names[label]}"

    def cell_counts(self, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """The chosen rows in every (group, class) cell, int64 [G, C]; rows of unknown group are not counted."""
        groups, labels = self.groups[rows], self.labels[rows]
        known, (num_classes, num_groups) = groups >= 0, self.shape
        cell = groups[known] * num_classes + labels[known]
        return np.bincount(cell, minlength=num_groups * num_classes).reshape(num_groups, num_classes)

    def empty_cells(self, rows: np.ndarray | slice = slice(None)) -> list[str]:
        """Declared cells without one of the chosen rows, as "group/class"."""
        return [self.cell_name(*cell) for cell in np.argwhere(self.cell_counts(rows) == 0)]

    def columns(self, rows: np.ndarray | slice = slice(None)) -> dict[str, Any]:
        """The shared columns of the chosen rows with the declared names, to make another table of rows from."""
        return {
            "ids": self.ids[rows],
            "labels": self.labels[rows],
            "groups": self.groups[rows],
            "class_names": tuple(self.class_names),
            "group_names": tuple(self.group_names),
            "identities": None if self.identities is None else self.identities[rows],
        }

    def check_columns(self, what: str) -> None:
        """Raise DataError, which begins with `what`, where a column is not as described above."""
        self.check_shapes(what)
        self.check_values(what)

    def check_shapes(self, what: str) -> None:
        """The part of `check_columns` on declared names and on the number of rows."""
        n = len(self.ids)
        for name in ("class_names", "group_names"):
            _check_names(what, name, getattr(self, name))
        for name in ("ids", "labels", "groups") + (() if self.identities is None else ("identities",)):
            if getattr(self, name).shape != (n,):
                raise DataError(f"{what}: '{name}' has shape {getattr(self, name).shape}; ids say it must be ({n},).")

    def check_values(self, what: str) -> None:
        """The part of `check_columns` on unique ids and on ranges."""
        if len(np.unique(self.ids)) != len(self.ids):
            values, counts = np.unique(self.ids, return_counts=True)
            raise DataError(f"{what}: id '{values[counts > 1][0]}' stands in more than one row; ids must be unique.")
        _check_range(what, "label", self.labels, 0, len(self.class_names), self.ids)
        _check_range(what, "group", self.groups, -1, len(self.group_names), self.ids)


@dataclass(frozen=True, init=False)
class Predictions(LabelledRows):
    """Logits with the ids, labels and groups of the rows they belong to.

    logits  [N, C] float32, finite
    about   what made them: artefact, SHA-256, runtime, versions, device, data hash (JSON values only)

    Raises DataError where a column does not fit its description, see `LabelledRows` for the others.
    """

    logits: np.ndarray
    about: dict[str, Any] = field(default_factory=dict)

    def __init__(  # written out, for callers outside give the columns by position in this order
        self,
        ids: np.ndarray,
        labels: np.ndarray,
        groups: np.ndarray,
        logits: np.ndarray,
        class_names: tuple[str, ...],
        group_names: tuple[str, ...],
        about: dict[str, Any] | None = None,
        identities: np.ndarray | None = None,
    ) -> None:
        values: dict[str, Any] = {"ids": ids, "labels": labels, "groups": groups, "identities": identities}
        values |= {"class_names": class_names, "group_names": group_names}
        values |= {"logits": logits, "about": {} if about is None else about}
        for name, value in values.items():
            object.__setattr__(self, name, value)
        self.check_shapes("predictions")
        self._check_logits()
        self.check_values("predictions")

    def _check_logits(self) -> None:
        n, shape = len(self.ids), (len(self.ids), len(self.class_names))
        if self.logits.shape != shape:
            raise DataError(
                f"predictions: logits have shape {self.logits.shape}; {n} ids and the class names need {shape}."
            )
        if not np.issubdtype(self.logits.dtype, np.floating):
            raise DataError(f"predictions: logits are {self.logits.dtype}; floating point numbers are needed.")
        bad = np.flatnonzero(~np.isfinite(self.logits).all(axis=1))
        if len(bad):
            raise DataError(
                f"predictions: the logits of {len(bad)} of {n} rows are not finite, first id '{self.ids[bad[0]]}'. "
                "A model that returns NaN or infinity cannot be judged; look for overflow (fp16) or broken weights."
            )

    @cached_property
    def predicted(self) -> np.ndarray:
        """The class with the largest logit of each row, int64 [N]; the lowest index wins a tie."""
        classes: np.ndarray = self.logits.argmax(axis=1)
        return classes

    def save(self, path: Path) -> None:
        """Write one .npz file atomically."""
        header = {
            "schema": SCHEMA,
            "class_names": list(self.class_names),
            "group_names": list(self.group_names),
            "about": self.about,
        }
        who: dict[str, Any] = {} if self.identities is None else {"identities": self.identities.astype(np.str_)}
        with atomic_path(path) as temporary, open(temporary, "wb") as stream:
            np.savez_compressed(
                stream,
                header=np.array(json.dumps(header)),
                ids=self.ids.astype(np.str_),
                labels=self.labels.astype(np.int64),
                groups=self.groups.astype(np.int64),
                logits=self.logits.astype(np.float32),
                **who,
            )

    @staticmethod
    def load(path: Path) -> "Predictions":
        """Read a file written by `save`; raises DataError where it is missing, truncated or of another schema."""
        try:
            with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as stored:
                header = json.loads(str(stored["header"]))
                arrays: dict[str, Any] = {
                    name: stored[name] for name in ("ids", "labels", "groups", "logits", "identities") if name in stored
                }
                if header["schema"] == SCHEMA:
                    names: dict[str, Any] = {name: tuple(header[name]) for name in ("class_names", "group_names")}
                    return Predictions(**arrays, **names, about=dict(header["about"]))
        except DataError as error:
            raise DataError(f"{path}: {error}") from None
        except UNREADABLE as error:
            raise DataError(
                f"{path} is not a readable predictions file ({why_unreadable(error)}). Make it again with edgefair."
            ) from error
        raise DataError(f"{path} has predictions schema {header['schema']}; this version reads {SCHEMA}.")


# What NumPy, zipfile and json raise for a file that is missing, cut off, damaged or something else.
UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


def batches(count: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` rows, which together are the rows 0 .. count - 1 in order."""
    return (slice(start, start + size) for start in range(0, count, size))


def why_unreadable(error: Exception) -> str:
    """What an error of UNREADABLE says, without NumPy's advice to open what is not its own by unpickling it."""
    return "it is no NumPy file" if "allow_pickle" in str(error) else str(error)


def _check_names(what: str, field_name: str, names: tuple[str, ...]) -> None:
    if len(names) == 0 or len(set(names)) != len(names) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{what}: {field_name} are {list(names)}; declare at least one, each a text and each once.")


def _check_range(what: str, column: str, values: np.ndarray, low: int, high: int, ids: np.ndarray) -> None:
    if not np.issubdtype(values.dtype, np.integer):
        raise DataError(f"{what}: {column}s are {values.dtype}; integers are needed.")
    bad = np.flatnonzero((values < low) | (values >= high))
    if len(bad):
        raise DataError(
            f"{what}: {column} {values[bad[0]]} of id '{ids[bad[0]]}' is outside {low} .. {high - 1} "
            f"({len(bad)} such rows). Declare every {column} before predicting."
        )
