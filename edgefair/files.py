"""Atomic file writes: a file is written beside its place, flushed, then renamed; hashes of content."""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from edgefair.errors import DataError, EdgefairError, RunFolderError

if TYPE_CHECKING:  # the command line starts without pydantic
    from pydantic import ConfigDict
    from pydantic_core import ErrorDetails


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path in the folder of `path`; on success it becomes `path`, on any error it is removed.

    Raises RunFolderError where the disk is full or the folder cannot be written.
    """
    with _renamed(Path(path), _temporary_file) as temporary:
        yield temporary
        with open(temporary, "rb") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o644)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside `path`, where nothing may be; on success it becomes `path`, else it is removed.

    Raises RunFolderError as `atomic_path` does.
    """
    with _renamed(Path(path), tempfile.mkdtemp) as temporary:
        yield temporary
        temporary.chmod(0o755)


@contextlib.contextmanager
def _renamed(path: Path, make: Callable[..., str]) -> Iterator[Path]:
    """Give what `make` makes beside `path`; rename it to `path` on success, and remove it on any error."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(make(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise RunFolderError(
            f"cannot write {path}: {error.strerror or error}. Nothing half-written was left; free some space or choose "
            "a writable folder (--out for the run, EDGEFAIR_CACHE for prepared images), then run the same "
            "command again."
        ) from error
    finally:
        if temporary is not None and temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        elif temporary is not None:
            temporary.unlink(missing_ok=True)


def _temporary_file(*, prefix: str, suffix: str, dir: Path) -> str:
    handle, name = tempfile.mkstemp(suffix, prefix, dir)
    os.close(handle)
    return name


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON with NaN as null, atomically."""
    write_bytes(path, (json.dumps(finite(value), indent=1) + "\n").encode())


# How every record is validated: no field that is not declared, no number for a text, no NaN for a number.
RECORD: "ConfigDict" = {"extra": "forbid", "strict": True, "frozen": True, "allow_inf_nan": False}


class RecordModel(Protocol):
    """A pydantic model of what a JSON file holds; WHAT is what such a file is called."""

    WHAT: ClassVar[str]

    @classmethod
    def model_validate_json(cls: type["Model"], json_data: bytes | str, *, strict: bool | None = None) -> "Model": ...

    def model_dump(self, *, mode: str, by_alias: bool | None = None, exclude_unset: bool = False) -> Any: ...


Model = TypeVar("Model", bound=RecordModel)


def read_record(path: Path, model: type[Model], remedy: str, error: type[EdgefairError] = DataError) -> Model:
    """The record in a JSON file, as the pydantic `model` that describes it; model.WHAT is what it is called.

    Raises `error`, naming file, field, value and `remedy`, where the file cannot be read or is not such a record.
    """
    from pydantic import ValidationError  # not with the module: the command line starts without it

    try:
        return model.model_validate_json(Path(path).read_bytes(), strict=True)
    except OSError as problem:
        raise error(f"{path} is not a readable {model.WHAT} ({problem.strerror}). {remedy}") from None
    except ValidationError as problem:
        raise error(f"{path} {_unreadable(problem.errors(), model.WHAT)}. {remedy}") from None


def read_values(path: Path, model: type[RecordModel], remedy: str, error: type[EdgefairError] = DataError) -> Any:
    """The same as plain JSON values, for what passes them on as they are."""
    return read_record(path, model, remedy, error).model_dump(mode="json", by_alias=True, exclude_unset=True)


def write_record(path: Path, model: type[RecordModel], values: Any, **style: Any) -> None:
    """Write `values` as JSON with NaN as null, atomically; `style` is what json.dumps takes.

    Raises pydantic.ValidationError where `read_record` would refuse what is to be written.
    """
    text = json.dumps(finite(values), indent=1, **style) + "\n"
    model.model_validate_json(text, strict=True)
    write_bytes(path, text.encode())


def _unreadable(problems: "list[ErrorDetails]", what: str) -> str:
    """What pydantic found, in the words of JSON; a record of another kind or version is called that first of all."""
    problems = sorted(problems, key=lambda one: one["loc"] not in (("kind",), ("schema",)))
    first = problems[0]
    field, kind = _field(first["loc"]), first["type"]
    value = _shortened(first["input"])
    if field == "schema" and kind == "literal_error":
        return f"has schema {value}; this version reads {first['ctx']['expected']}"
    return f"is not a readable {what}: " + {
        "json_invalid": f"it is no JSON ({first.get('ctx', {}).get('error', '')})",
        "missing": f"{field} is missing",
        "extra_forbidden": f"{field} is {value}, which is no field of it",
    }.get(kind, f"{field or 'it'} is {value}; {_needed(first)}")


def _field(location: tuple[int | str, ...]) -> str:
    """A place in a record as one writes it, such as artefacts[2].sha256."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).removeprefix(".")


def _shortened(value: Any) -> str:
    """A value for the eye; of what holds others only what it is."""
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


_NEEDED = {
    "string_type": "a text is needed",
    "int_type": "a whole number is needed",
    "float_type": "a number is needed",
    "bool_type": "true or false is needed",
    "list_type": "a list is needed",
    "dict_type": "an object is needed",
    "model_type": "an object is needed",
}


def _needed(problem: "ErrorDetails") -> str:
    """What a field must be; pydantic's own words where there are no simpler ones."""
    said = problem["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return _NEEDED.get(problem["type"]) or (said if said.endswith("needed") else f"needed is {said}")


def finite(value: Any) -> Any:
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


def digest(value: Any) -> str:
    """The SHA-256 of a JSON-able value in its canonical form."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


CHECKPOINT = "checkpoint.pt"  # what an unfinished stage is resumed from; removed once the stage is finished


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level, {"section.field": value}."""
    fields: dict[str, Any] = {}
    for name, value in values.items():
        fields |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return fields
