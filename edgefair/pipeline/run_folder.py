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
from edgefair.errors import RunFolderError
from edgefair.files import CHECKPOINT, digest, finite, flat, read_json, sha256, write_bytes, write_json
from edgefair.recipe import Recipe, parse, read

STAGES = ("data", "teacher", "student", "artefacts", "predictions", "latency")


class RunFolder:
    """The stages of one recipe; `stage` makes what is missing and returns where it lies."""

    def __init__(self, path: Path, recipe: Recipe, log):
        self.path = Path(path)
        self.recipe = recipe
        self.log = log

    @staticmethod
    @contextlib.contextmanager
    def open(path: Path, recipe: Recipe, log) -> Iterator["RunFolder"]:
        """Open a new or existing folder for this recipe, alone.

        Raises RunFolderError where it belongs to another recipe, is in use by another process, or cannot be written.
        """
        from filelock import FileLock, Timeout  # not at the top: commands that open no run need not wait for it

        path = Path(path)
        _refuse_foreign(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path / ".lock").acquire(timeout=0)
        except Timeout:
            raise RunFolderError(
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
        key = digest({"stage": name, "edgefair": __version__, "made_from": made_from})
        state = self._state(name)
        if state.get("key") != key and folder.exists():
            shutil.rmtree(folder)  # made from something else: a checkpoint in it must not be gone on with
        elif state.get("finished") and self._intact(folder, state["files"]):
            self.log.line(f"{name}: already done")
            return folder
        for left in folder.glob(".*.part"):  # of a process that was killed while it wrote
            left.unlink(missing_ok=True)
        write_json(folder / "stage.json", {"key": key, "finished": False, "made_from": made_from})
        started = time.monotonic()
        self.log.line(f"{name}: started")
        make(folder)
        files = {
            p.name: sha256(p)
            for p in sorted(folder.iterdir())
            if p.is_file() and p.name not in ("stage.json", CHECKPOINT)
        }
        seconds = round(time.monotonic() - started, 2)
        write_json(
            folder / "stage.json",
            {"key": key, "finished": True, "made_from": made_from, "files": files, "seconds": seconds},
        )
        (folder / CHECKPOINT).unlink(missing_ok=True)
        self.log.line(f"{name}: finished in {seconds:.1f} s")
        return folder

    def refuse_other_data(self, data: dict) -> None:
        """Raise RunFolderError where the finished stage "data" saw other data than these, of Examples.describe()."""
        state = self._state("data")
        if not state.get("finished") or state["made_from"].get("data") == digest(data):
            return
        was, now = read_json(self.path / "data" / "data.json"), json.loads(json.dumps(finite(data)))
        differing = _differing(was, now, "now", _short)
        raise RunFolderError(
            f"the data changed since {self.path} was made:\n  " + "\n  ".join(differing) + "\n"
            "Put the data back as they were, or make a new run with --out; this one is left as it is."
        )

    def hashes(self, name: str) -> dict[str, str]:
        """SHA-256 of each file of a finished stage: what a later stage is made from."""
        return self._state(name)["files"]

    def seconds(self) -> dict[str, float]:
        """How long each finished stage took, in its last process."""
        return {name: state["seconds"] for name in STAGES if (state := self._state(name)).get("finished")}

    def _state(self, name: str) -> dict:
        return read_json(self.path / name / "stage.json")

    def _intact(self, folder: Path, files: dict[str, str]) -> bool:
        changed = [
            name for name, known in files.items() if not (folder / name).is_file() or sha256(folder / name) != known
        ]
        if changed:
            self.log.line(f"{folder.name}: {', '.join(changed)} is missing or was changed; made again")
        return not changed


def _refuse_foreign(path: Path) -> None:
    """Look before anything is written: a folder that holds something else is left as it is."""
    if path.is_dir() and not (path / "recipe.toml").exists():
        foreign = sorted(p.name for p in path.iterdir() if p.name != ".lock")
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
    differing = _differing(parse(read(stored)).model_dump(mode="json"), recipe.model_dump(mode="json"), "asked for")
    if differing:
        raise RunFolderError(
            f"{path} was made from another recipe:\n  " + "\n  ".join(differing) + "\n"
            "Choose a new folder with --out, or give the same settings to go on with it."
        )


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
