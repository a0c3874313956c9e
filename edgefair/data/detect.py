"""What `--data` means: a name, a path, or NAME=PATH; a bare path is recognised by what lies there."""

from pathlib import Path
from typing import Any

from edgefair.data.readers.cifar_pickle import LAYOUTS, find_folder
from edgefair.errors import DataError, RecipeError, nearest

_FILE_KINDS = {".csv": "manifest", ".parquet": "manifest", ".tar": "webdataset"}


def recognize(value: str, readers: dict[str, Any], names: tuple[str, ...]) -> dict[str, str]:
    """Recipe fields; `readers` are the modules whose `recognize` is asked, in order, the last where no other agrees."""
    if value in names:
        return {"name": value}
    path, on_disk = Path(value), tuple(name for name in names if name != "trifeature")
    name, equals, rest = value.partition("=")
    if value.startswith("hf:"):
        return {"name": "hf", "path": value.removeprefix("hf:")}
    if equals and not path.exists():
        return _named(name, rest, on_disk)
    if path.is_dir():
        return _folder(path, readers, on_disk)
    if path.suffix.lower() in _FILE_KINDS or path.exists():
        return {"name": _FILE_KINDS.get(path.suffix.lower(), "manifest"), "path": value}
    raise RecipeError(f"--data '{value}' is neither a data set nor an existing path; {nearest(value, names)}")


def _check_no_list(path: Path, last: str) -> None:
    """A list beside folders of images says what they are; to take the folders for classes would not heed it."""
    lists = sorted(p.name for p in path.iterdir() if p.suffix.lower() in (".csv", ".parquet") and p.is_file())
    if lists:
        raise DataError(
            f"the folder {path} holds folders of images, and {lists[0]}, which is of no known kind. Say what is meant: "
            f"{last}={path} takes the folders for classes, manifest={path / lists[0]} reads the list (columns path, "
            "label, group), and the name of a published data set, such as waterbirds, tells what its list lacks."
        )


def _named(name: str, path: str, on_disk: tuple[str, ...]) -> dict[str, str]:
    if name not in on_disk:
        why = "is made on the spot and takes no path" if name == "trifeature" else "is no data set on disk"
        raise RecipeError(f"--data {name}={path}: '{name}' {why}; {nearest(name, on_disk)}")
    if not path or (name != "hf" and not Path(path).exists()):
        raise DataError(f"--data {name}={path}: there is no file or folder '{path}'. Correct the path after the '='.")
    return {"name": name, "path": path}


def _folder(path: Path, readers: dict[str, Any], on_disk: tuple[str, ...]) -> dict[str, str]:
    *sure, last = readers
    found = [name for name in sure if readers[name].recognize(path)]
    found += [name for name in LAYOUTS if find_folder(path, name)]
    if not found and readers[last].recognize(path):
        _check_no_list(path, last)
        found = [last]
    if not found:
        raise DataError(
            f"the folder {path} is of no known kind: it holds neither the files of {', '.join([*sure, *LAYOUTS])} nor "
            f"folders of images. Say which, NAME={path}, to learn what is missing."
        )
    if len(found) > 1:
        raise DataError(f"the folder {path} holds {' and '.join(found)}; say which: {found[0]}={path}.")
    return _named(found[0], str(path), on_disk)
