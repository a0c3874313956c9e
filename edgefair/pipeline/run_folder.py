"""A run folder: one directory in which every stage leaves its files, each with a hash of what it was made from.

    recipe.toml            what the run is; another recipe is refused, and so are data that changed since
    STAGE/...              the files of a stage
    STAGE/stage.json       what it was made from, whether it is finished, the SHA-256 of its files

A finished stage is not redone; an unfinished one keeps its checkpoint and is gone on with.
"""

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from edgefair import __version__
from edgefair.data.records import DataRecord
from edgefair.errors import RecipeError, RunFolderError
from edgefair.files import CHECKPOINT, digest, finite, flat, read_record, read_values, sha256, write_bytes, write_record
from edgefair.log import Log
from edgefair.pipeline.records import Stage
from edgefair.recipe import Recipe, parse, read
from edgefair.recipe.recipe import WRITTEN_BY

AGAIN = "Remove the folder that it lies in, and run edgefair distill-and-export again with the same settings."
STAGES = ("data", "teacher", "student", "artefacts", "predictions", "latency")


class RunFolderInUse(RunFolderError):
    """Another process works in the run folder."""


class RunFolder:
    """The stages of one recipe; `stage` makes what is missing and returns where it lies."""

    def __init__(self, path: Path, recipe: Recipe, log: Log):
        self.path = Path(path)
        self.recipe = recipe
        self.log = log

    @staticmethod
    @contextlib.contextmanager
    def open(path: Path, recipe: Recipe, log: Log) -> Iterator["RunFolder"]:
        """Open a new or existing folder for this recipe, alone.

        Raises RunFolderError where it belongs to another recipe, is in use by another process, or cannot be written.
        """
        from filelock import FileLock, Timeout  # not at the top: commands that open no run need not wait for it

        path = Path(path)
        _check_own(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path / ".lock").acquire(timeout=0)
        except Timeout:
            raise RunFolderInUse(
                f"another process is working in {path}. Wait for it, or choose another folder with --out."
            ) from None
        except OSError as error:
            raise RunFolderError(
                f"cannot write the run folder {path}: {error.strerror}. Choose another with --out."
            ) from None
        with lock:
            _claim(path, recipe)
            yield RunFolder(path, recipe, log)

    def stage(self, name: str, made_from: dict, make: Callable[[Path], None]) -> Path:
        """Return the folder of a stage, calling `make(folder)` unless it is finished and its files are intact."""
        folder = self.path / name
        key = stage_key(name, made_from)
        state = self._begun(name)
        if state.key != key and folder.exists():
            shutil.rmtree(folder)  # made from something else: a checkpoint in it must not be gone on with
        elif state.finished and self._intact(folder, state.files):
            self.log.line(f"{name}: already done")
            return folder
        for left in folder.glob(".*.part"):  # of a process that was killed while it wrote
            left.unlink(missing_ok=True)
        about = {"schema": 1, "edgefair": __version__, "key": key}
        record = about | {"finished": False, "made_from": made_from}
        write_record(folder / "stage.json", Stage, record)
        started = time.monotonic()
        self.log.line(f"{name}: started")
        make(folder)
        files = {
            p.name: sha256(p)
            for p in sorted(folder.iterdir())
            if p.is_file() and p.name not in ("stage.json", CHECKPOINT)
        }
        seconds = round(time.monotonic() - started, 2)
        write_record(folder / "stage.json", Stage, record | {"finished": True, "files": files, "seconds": seconds})
        (folder / CHECKPOINT).unlink(missing_ok=True)
        self.log.line(f"{name}: finished in {seconds:.1f} s")
        return folder

    def check_data(self, data: dict) -> None:
        """Raise RunFolderError where the finished stage "data" saw other data than these, of Examples.describe()."""
        state = self.record("data")
        if not state.finished or state.made_from.get("data") == digest(data):
            return
        was = read_values(self.path / "data" / "data.json", DataRecord, AGAIN, RunFolderError)
        was, now = {name: was[name] for name in was if name != "schema"}, json.loads(json.dumps(finite(data)))
        differing = _differing(was, now, "now", _short)
        raise RunFolderError(
            f"the data changed since {self.path} was made:\n  " + "\n  ".join(differing) + "\n"
            "Put the data back as they were, or make a new run with --out; this one is left as it is."
        )

    def hashes(self, name: str) -> dict[str, str]:
        """SHA-256 of each file of a finished stage: what a later stage is made from."""
        state = self.record(name)
        if not state.finished:
            raise RunFolderError(
                f"the run folder {self.path} has no finished {name}. Run edgefair distill-and-export with the same "
                "settings again; it goes on where it stopped."
            )
        return state.files

    def hash_of(self, file: Path) -> str:
        """SHA-256 of one file of a finished stage, as its record has it; raises RunFolderError where it has none."""
        known = self.hashes(file.parent.name)
        if file.name not in known:
            raise RunFolderError(f"{file.parent / 'stage.json'}: files has no {file.name}. {AGAIN}")
        return known[file.name]

    def seconds(self) -> dict[str, float]:
        """How long each finished stage took, in its last process."""
        return {name: state.seconds for name in STAGES if (state := self.record(name)).finished}

    def record(self, name: str) -> Stage:
        """The record of a stage, an unfinished one where there is none; raises RunFolderError where it is damaged."""
        return stage_record(self.path / name)

    def _begun(self, name: str) -> Stage:
        """What is there of a stage that is to be made: nothing where its record was cut off while it was written."""
        file = self.path / name / "stage.json"
        if file.is_file() and not _is_json(file):
            self.log.line(f"{name}: {file} cannot be read; made again")
            return Stage()
        state = self.record(name)
        if (made_by := _other_version(name, state)) is not None:
            raise RunFolderError(
                f"the stage '{name}' of {self.path} was made by edgefair {made_by or 'of an earlier version'}; this is "
                f"{__version__}, which would make it in another way. Make a new run with --out, go on with the version "
                f"that began, or remove {self.path / name} to have it made again."
            )
        return state

    def _intact(self, folder: Path, files: dict[str, str]) -> bool:
        changed = [
            name for name, known in files.items() if not (folder / name).is_file() or sha256(folder / name) != known
        ]
        if changed:
            self.log.line(f"{folder.name}: {', '.join(changed)} is missing or was changed; made again")
        return not changed


def run_name(recipe: Recipe) -> str:
    """What a run is called where nobody says: its main settings, and enough of the hash to tell the others apart."""
    data = Path(recipe.data.path).stem if recipe.data.name == "manifest" else recipe.data.name
    parts = (
        data,
        recipe.loss.name,
        recipe.strategy.name,
        *([f"lambda{recipe.strategy.lam:g}"] if recipe.strategy.name != "plain" else []),
        f"seed{recipe.seed}",
        recipe.hash[:6],
    )
    return "-".join(parts)


def run_recipe(folder: Path) -> Recipe:
    """The recipe of a run folder.

    Raises RunFolderError where it is none, its recipe was spoiled, or a version made it whose recipes differ.
    """
    file = Path(folder) / "recipe.toml"
    if not file.is_file():
        raise RunFolderError(f"{folder} is not a run folder: no recipe.toml in it. Give the folder that --out named.")
    remedy = "Put the file back as it was, or make a new run with --out."
    try:
        values = read(file)
    except RecipeError as error:
        raise RunFolderError(f"the recipe of the run folder cannot be read: {error} {remedy}") from None
    first = file.read_text("utf-8").partition("\n")[0]
    made_by = first.removeprefix(WRITTEN_BY).strip() if first.startswith(WRITTEN_BY) else "0.1"
    if _series(made_by) != _series(__version__):
        raise RunFolderError(
            f"{folder} was made by edgefair {made_by}, whose recipes this edgefair ({__version__}) does not read. Make "
            f"a new run with --out, or use the edgefair that made it: pip install 'edgefair=={_series(made_by)}.*'."
        )
    try:
        return parse(values)
    except RecipeError as error:
        raise RunFolderError(
            f"{file}: {error}\nThe run was made by edgefair {made_by}, this is {__version__}. {remedy}"
        ) from None


def stage_record(folder: Path) -> Stage:
    """The stage.json of a folder, an unfinished stage where there is none; RunFolderError where it is damaged."""
    file = Path(folder) / "stage.json"
    return read_record(file, Stage, AGAIN, RunFolderError) if file.exists() else Stage()


def stage_key(name: str, made_from: dict) -> str:
    """Hash of a stage's name, what it is made from and this version: stages of one key have the same files."""
    return digest({"stage": name, "edgefair": __version__, "made_from": made_from})


def _other_version(name: str, state: Stage) -> str | None:
    """The version that a stage was made by, where it is another one; None where it is this one or nothing is there."""
    if not state.finished or state.edgefair == __version__:
        return None
    same = not state.edgefair and state.key in ("", stage_key(name, state.made_from))
    return None if same else state.edgefair


def _is_json(file: Path) -> bool:
    try:
        json.loads(file.read_bytes())
    except (ValueError, RecursionError):
        return False
    return True


def _check_own(path: Path) -> None:
    """Look before anything is written: a folder that holds something else than a search is left as it is."""
    if path.is_dir() and not (path / "recipe.toml").exists():
        foreign = sorted(p.name for p in path.iterdir() if p.name not in (".lock", "tune"))
        if foreign:
            raise RunFolderError(
                f"{path} is not empty and holds no recipe.toml: {foreign[0]} is in it. Choose a new folder with --out."
            )


def _claim(path: Path, recipe: Recipe) -> None:
    """Write the recipe into a new folder, or compare it with the one that is there."""
    stored = path / "recipe.toml"
    if not stored.exists():
        write_bytes(stored, recipe.to_toml().encode())
        return
    differing = _differing(run_recipe(path).model_dump(mode="json"), recipe.model_dump(mode="json"), "asked for")
    if differing:
        raise RunFolderError(
            f"{path} was made from another recipe:\n  " + "\n  ".join(differing) + "\n"
            "Choose a new folder with --out, or give the same settings to go on with it."
        )


def _series(version: str) -> str:
    """What a version shares run folders with: those of the same major and minor number."""
    return ".".join(version.split(".")[:2])


def _differing(before: dict, now: dict, word: str, shown: Callable = str) -> list[str]:
    """What differs between nested values, a line each; `word` says what the second are."""
    before, now = flat(before), flat(now)
    return [
        f"{name}: {shown(before.get(name))} there, {shown(now.get(name))} {word}"
        for name in sorted(before | now)
        if before.get(name) != now.get(name)
    ]


def _short(value) -> str:
    """A value for the eye: of a hash the beginning, of a list how long it is."""
    if isinstance(value, list):
        return f"{len(value)} entries"
    return str(value)[:12] if isinstance(value, str) and len(value) == 64 else str(value)
