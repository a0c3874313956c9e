"""`hf:NAME`: a data set of the Hugging Face library `datasets`, from the hub, its cache, or a local folder.

A local folder is one written by save_to_disk, or anything that `datasets.load_dataset` reads (Parquet, an imagefolder
with metadata). The first image column is read, still encoded; `data.task` names the column of the class, `data.group`
the protected one or several joined by `+`; without it there are no groups. Its splits are taken where they are there:
train, validation, test (the gate). The terms are those that the data set states.
"""

from functools import cached_property
from pathlib import Path

from edgefair.data.attributes import Chosen, protected_of
from edgefair.data.dataset import SPLITS
from edgefair.data.listing import ALL, Entry, Held, Listing, normalize_split
from edgefair.errors import DataError, RecipeError, nearest, require
from edgefair.log import Log, say_retries_once
from edgefair.recipe.data import HuggingFaceSettings


def recognize(path: Path) -> bool:
    """Whether a folder was written by save_to_disk."""
    return any((path / name).is_file() for name in ("dataset_dict.json", "state.json"))


class Part:
    """One split: its images by row, still encoded, and its other columns as text."""

    def __init__(self, split, name: str):
        datasets = require("datasets", "data", "hf:NAME")
        self.name, self.key = name, split._fingerprint
        images = [column for column, kind in split.features.items() if isinstance(kind, datasets.Image)]
        if not images:
            raise DataError(f"split '{name}' has no column of images; its columns are {', '.join(split.features)}.")
        self.images = split.select_columns(images[:1]).cast_column(images[0], datasets.Image(decode=False))
        self.image, self.texts = images[0], split.remove_columns(images)

    def content(self, row: int) -> bytes:
        """The encoded image of a row."""
        stored = self.images[row][self.image] or {}
        if stored.get("bytes") is not None:
            return stored["bytes"]
        try:
            return Path(stored["path"]).read_bytes()
        except (KeyError, TypeError, OSError):  # no value, no path, or no file
            return b""  # decoding will say that this is no image

    @cached_property
    def names(self) -> dict[str, tuple[str, ...]]:
        """Column -> names of its classes, where it has any."""
        kinds = self.texts.features
        return {column: tuple(kind.names) for column, kind in kinds.items() if hasattr(kind, "names")}

    def column(self, name: str) -> list[str]:
        """A column as text; empty where there is no value."""
        if name not in self.texts.features:
            raise RecipeError(f"split '{self.name}' has no column '{name}'; {nearest(name, self.texts.features)}")
        names = self.names.get(name)
        return [
            "" if value is None or (names and value < 0) else names[value] if names else str(value)
            for value in self.texts[name]
        ]


def read(settings: HuggingFaceSettings, seed: int, log: Log) -> Listing:
    """The entries of the data set `settings.path`; raises DataError or RecipeError naming what is missing or wrong."""
    splits = open_splits(settings.path, settings.subset)
    chosen = Chosen(settings.task, protected_of(settings))
    parts = [Part(split, name) for name, split in splits.items() if len(splits) == 1 or normalize_split(name) in SPLITS]
    if not parts:
        raise DataError(f"none of the splits {', '.join(splits)} of {settings.path} is train, validation or test.")
    entries = [entry for part in parts for entry in _entries(part, chosen, len(splits) == 1)]
    unlabelled = {"no class": [entry.id for entry in entries if not entry.label]}
    dataset_info = next(iter(splits.values())).info
    terms = dataset_info.license or "not stated by the data set; see its page"
    about = {"name": "hf", "source": settings.path, "terms": terms, **chosen.about()}
    return Listing(
        [entry for entry in entries if entry.label],
        about,
        settings.classes or parts[0].names.get(chosen.task, ()),
        _groups(parts[0], chosen, settings),
        unlabelled,
    )


def _groups(part: Part, chosen: Chosen, settings: HuggingFaceSettings) -> tuple[str, ...]:
    if not chosen.protected:
        return ALL
    return settings.groups or (part.names.get(chosen.protected[0], ()) if len(chosen.protected) == 1 else ())


def _entries(part: Part, chosen: Chosen, alone: bool) -> list[Entry]:
    columns = {name: part.column(name) for name in (chosen.task, *chosen.protected)}
    declared_split = "" if alone else normalize_split(part.name)
    entries = []
    for row in range(len(part.images)):
        values = {name: column[row] for name, column in columns.items()}
        where, name = f"{part.name}, row {row}", f"{part.name}-{row:06d}"
        entries.append(Entry(Held(part, row), chosen.label(values), chosen.group(values), name, where, declared_split))
    return entries


def open_splits(path: str, subset: str) -> dict:
    """The splits by name; raises DataError that says where it was looked for."""
    datasets = require("datasets", "data", "hf:NAME")
    say_retries_once()
    try:
        stored = datasets.load_from_disk(path) if recognize(Path(path)) else datasets.load_dataset(path, subset or None)
    except Exception as error:  # the library raises its own, the network's and Arrow's
        raise DataError(
            f"cannot open the data set '{path}' ({type(error).__name__}: {error}). Give a name on the hub, a folder "
            "written by save_to_disk or of Parquet files; without network the data set must lie in the library's cache "
            "(HF_HOME). Where it has several configurations, name one with --set data.subset=NAME."
        ) from None
    return dict(stored) if hasattr(stored, "keys") else {str(stored.split or "train"): stored}
