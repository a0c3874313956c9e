"""Files that are whole or absent: written beside their place, flushed, then renamed; hashed by content."""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgefair.errors import RunFolderError


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path in the folder of `path`; on success it becomes `path`, on any error it is removed.

    Raises RunFolderError where the disk is full or the folder cannot be written.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with open(temporary, "rb") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside `path`, where nothing may be; on success it becomes `path`, else it is removed.

    Raises RunFolderError as `atomic_path` does.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
        yield temporary
        temporary.chmod(0o755)
        temporary.rename(path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _cannot_write(path: Path, error: OSError) -> RunFolderError:
    return RunFolderError(
        f"cannot write {path}: {error.strerror or error}. Nothing half-written was left; free some space or choose "
        "a writable folder (--out for the run, EDGEFAIR_CACHE for prepared images), then run the same "
        "command again."
    )


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, value) -> None:
    """Write `value` as indented JSON with NaN as null, whole or not at all."""
    write_bytes(path, (json.dumps(finite(value), indent=1) + "\n").encode())


def read_json(path: Path) -> dict:
    """The object that a JSON file holds; {} where it is missing, unreadable or damaged."""
    try:
        return json.loads(Path(path).read_text())
    except (OSError, ValueError):
        return {}


def finite(value):
    """The same nested value with every NaN or infinite number replaced by None, since JSON has neither."""
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if hasattr(value, "tolist"):
        return finite(value.tolist())
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, as 64 hexadecimal digits."""
    content = hashlib.sha256()
    with open(path, "rb") as stream:
        while part := stream.read(1 << 20):
            content.update(part)
    return content.hexdigest()


def digest(value) -> str:
    """The SHA-256 of a JSON-able value in its canonical form."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


CHECKPOINT = "checkpoint.pt"  # what an unfinished stage goes on from; removed once the stage is finished


def flat(values: dict, prefix: str = "") -> dict:
    """Nested settings as one level, {"section.field": value}."""
    fields = {}
    for name, value in values.items():
        fields |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return fields
