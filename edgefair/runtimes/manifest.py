"""The manifest.json of a folder of artefacts: read, written, and asked whether a file is the one it lists.

An engine is deserialised only if its hash stands here, because opening one runs code.
"""

from pathlib import Path
from typing import Any

from edgefair.errors import ArtefactError
from edgefair.files import read_record, sha256, write_record
from edgefair.runtimes.records import Manifest, ManifestEntry

NAME = "manifest.json"
SCHEMA = 1


def read(folder: Path) -> list[ManifestEntry]:
    """The entries of a folder's manifest, none where there is no manifest; raises ArtefactError where it is damaged."""
    path = Path(folder) / NAME
    if not path.exists():
        return []
    remedy = "Build the artefacts again with edgefair distill-and-export or edgefair build."
    return read_record(path, Manifest, remedy, ArtefactError).artefacts


def write(folder: Path, entries: list[ManifestEntry]) -> None:
    """Write the entries atomically."""
    values = {"schema": SCHEMA, "artefacts": [one.model_dump() for one in entries]}
    write_record(Path(folder) / NAME, Manifest, values)


def entry(
    name: str,
    path: Path,
    target: str,
    runtime: str,
    precision: str,
    *,
    batch: int = 0,
    blocked: str = "",
    facts: dict[str, Any] | None = None,
) -> ManifestEntry:
    """One entry; its hash and size are those of the file now."""
    path = Path(path)
    return ManifestEntry(
        name=name,
        file=path.name,
        sha256=sha256(path),
        bytes=path.stat().st_size,
        target=target,
        runtime=runtime,
        precision=precision,
        batch=batch,
        blocked=blocked,
        facts=facts or {},
    )


def add(folder: Path, entries: list[ManifestEntry]) -> None:
    """Put entries into a folder's manifest in place of those of the same name."""
    names = {one.name for one in entries}
    write(folder, [one for one in read(folder) if one.name not in names] + entries)


def listed(path: Path) -> ManifestEntry:
    """The entry whose file and hash are those of `path`; raises ArtefactError where there is none."""
    path = Path(path)
    known = [one for one in read(path.parent) if one.file == path.name]
    if not known:
        raise ArtefactError(
            f"{path} stands in no {NAME} beside it, so nothing says who built it; opening an engine runs code. "
            "Build it with edgefair on this device."
        )
    now = sha256(path)
    if all(one.sha256 != now for one in known):
        raise ArtefactError(
            f"{path} is not the file that was built: its SHA-256 is {now[:12]}, {NAME} says {known[0].sha256[:12]}. "
            "It was damaged or replaced; build it again."
        )
    return next(one for one in known if one.sha256 == now)


def unchanged(path: Path) -> str:
    """SHA-256 of a file that may stand in the manifest beside it; raises ArtefactError where another hash stands there.

    A file that is in no manifest is taken as it is: for ONNX only, because reading that runs no code.
    """
    path = Path(path)
    try:
        now = sha256(path)
    except OSError as error:
        raise ArtefactError(f"cannot read {path}: {error.strerror}. Give a file that edgefair exported.") from None
    known = [one.sha256 for one in read(path.parent) if one.file == path.name]
    if known and now not in known:
        raise ArtefactError(
            f"{path} is not the file that was exported: its SHA-256 is {now[:12]}, {NAME} says {known[0][:12]}. "
            "It was edited, cut off or replaced; export it again."
        )
    return now
