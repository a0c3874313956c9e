"""manifest.json of a folder of artefacts: what each file is, what made it, and its SHA-256.

    {"schema": 1, "artefacts": [{"name", "file", "sha256", "bytes", "target", "runtime", "precision", "batch",
                                 "blocked", "facts"}, ...]}

`batch` is the only batch size an engine takes, 0 where any; `blocked` says why it could not be run where it was built.
An engine is deserialised only if its hash stands here, because opening one runs code.
"""

import json
from pathlib import Path

from edgefair.errors import ArtefactError
from edgefair.files import sha256, write_json

NAME = "manifest.json"
SCHEMA = 1


def read(folder: Path) -> list[dict]:
    """The entries of a folder's manifest, none where there is no manifest; raises ArtefactError where it is damaged."""
    path = Path(folder) / NAME
    try:
        stored = json.loads(path.read_text())
        if stored["schema"] != SCHEMA:
            raise ArtefactError(f"{path} has schema {stored['schema']}; this version reads {SCHEMA}.")
        return list(stored["artefacts"])
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtefactError(f"{path} is not a readable manifest ({error}). Build the artefacts again.") from error


def write(folder: Path, entries: list[dict]) -> None:
    """Write the entries, whole or not at all."""
    write_json(Path(folder) / NAME, {"schema": SCHEMA, "artefacts": entries})


def entry(name: str, path: Path, target: str, runtime: str, precision: str, **rest) -> dict:
    """One entry; its hash and size are those of the file now."""
    path = Path(path)
    about = {"target": target, "runtime": runtime, "precision": precision}
    defaults = {"batch": 0, "blocked": "", "facts": {}}
    what = {"name": name, "file": path.name, "sha256": sha256(path), "bytes": path.stat().st_size}
    return what | about | defaults | rest


def add(folder: Path, entries: list[dict]) -> None:
    """Put entries into a folder's manifest in place of those of the same name."""
    names = {one["name"] for one in entries}
    write(folder, [one for one in read(folder) if one["name"] not in names] + entries)


def listed(path: Path) -> dict:
    """The entry whose file and hash are those of `path`; raises ArtefactError where there is none."""
    path = Path(path)
    known = [one for one in read(path.parent) if one["file"] == path.name]
    if not known:
        raise ArtefactError(
            f"{path} stands in no {NAME} beside it, so nothing says who built it; opening an engine runs code. "
            "Build it with edgefair on this device."
        )
    now = sha256(path)
    if all(one["sha256"] != now for one in known):
        raise ArtefactError(
            f"{path} is not the file that was built: its SHA-256 is {now[:12]}, {NAME} says {known[0]['sha256'][:12]}. "
            "It was damaged or replaced; build it again."
        )
    return next(one for one in known if one["sha256"] == now)


def unchanged(path: Path) -> str:
    """SHA-256 of a file that may stand in the manifest beside it; raises ArtefactError where another hash stands there.

    A file that is in no manifest is taken as it is: for ONNX only, because reading that runs no code.
    """
    path = Path(path)
    try:
        now = sha256(path)
    except OSError as error:
        raise ArtefactError(f"cannot read {path}: {error.strerror}. Give a file that edgefair exported.") from None
    known = [one["sha256"] for one in read(path.parent) if one["file"] == path.name]
    if known and now not in known:
        raise ArtefactError(
            f"{path} is not the file that was exported: its SHA-256 is {now[:12]}, {NAME} says {known[0][:12]}. "
            "It was edited, cut off or replaced; export it again."
        )
    return now
