"""WebDataset shards: plain tar files in which the members of a sample share a name up to its first dot.

The convention of the library webdataset (Aizman, Maltby and Breuel, 2020). The shards are indexed once and images read
by place, so that any process decodes any of them; the library itself reads a shard from its beginning. A sample has an
image (.jpg, .png, ...), and its attributes in a member each (000.cls) or in 000.json. `data.task` names the class (by
default cls), `data.group` the protected attribute or several joined by `+`; without it there are no groups. A file or
folder name that begins with train, val or test tells the split. The terms of the images are the owner's.
"""

import json
import re
import tarfile
from pathlib import Path
from typing import Any

from edgefair.data.attributes import Chosen, protected_of
from edgefair.data.dataset import SPLITS
from edgefair.data.listing import ALL, SUFFIXES, Entry, FilePart, Listing, natural, normalize_split
from edgefair.errors import DataError, RecipeError, nearest
from edgefair.log import Log
from edgefair.recipe.data import WebdatasetSettings

TERMS = "those of the images' owner"


def shards(path: Path) -> list[Path]:
    """The shards of a folder and below, in natural order; a single one is a shard of its own."""
    if path.is_file():
        return [path]
    return sorted(path.rglob("*.tar"), key=lambda shard: natural(str(shard)))


def recognize(path: Path) -> bool:
    """Whether shards lie in a folder or one below."""
    return any(True for pattern in ("*.tar", "*/*.tar") for _ in path.glob(pattern))


def read(settings: WebdatasetSettings, seed: int, log: Log) -> Listing:
    """The entries of the shards in `settings.path`; raises DataError or RecipeError naming what is missing or wrong."""
    chosen = Chosen(settings.task, protected_of(settings))
    root, entries, known = Path(settings.path), [], set()
    without: dict[str, list[str]] = {"sample without an image": []}
    for shard in shards(root):
        part = _list_of(shard.relative_to(root) if root.is_dir() else Path(shard.name))
        for key, sample in read_shard(shard).items():
            where = f"{shard.name}, sample {key}"
            if "image" not in sample:
                without["sample without an image"].append(where)
                continue
            entries.append(_entry(shard, key, sample, chosen, where, part))
            known |= sample.keys() - {"image"}
    if not entries:
        raise DataError(f"there are no samples with images in {root}; shards are plain .tar files, not compressed.")
    for name in chosen.protected:
        if name not in known:
            raise RecipeError(f"data.group '{name}' is in no sample of {root}; {nearest(name, known)}")
    about: dict[str, Any] = {"name": "webdataset", "source": str(root), "terms": TERMS, **chosen.about()}
    if others := sorted(known - {chosen.task}):
        about["may_be_groups"] = others
    return Listing(entries, about, settings.classes, settings.groups if chosen.protected else ALL, without)


def _list_of(place: Path) -> str:
    for part in place.parts:
        word = normalize_split(re.split("[^a-zA-Z]", part, maxsplit=1)[0])
        if word in SPLITS:
            return word
    return ""


def _entry(shard: Path, key: str, sample: dict, chosen: Chosen, where: str, part: str) -> Entry:
    values = {}
    for name in (chosen.task, *chosen.protected):
        if name not in sample and name == chosen.task:
            raise RecipeError(f"{where}: has no '{name}'; {nearest(name, sample.keys() - {'image'})}")
        values[name] = sample.get(name, "")
    if not chosen.label(values):
        raise DataError(f"{where}: '{chosen.task}' is empty.")
    return Entry(sample["image"], chosen.label(values), chosen.group(values), f"{shard.name}/{key}", where, part)


def read_shard(path: Path) -> dict[str, dict]:
    """Key -> attributes of every sample as text, and under "image" where its image lies."""
    samples: dict[str, dict] = {}
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                if member.isfile():
                    _take(samples, path, archive, member)
    except (tarfile.TarError, OSError) as error:
        raise DataError(
            f"{path} is no whole, plain tar file ({error}). Unpack a compressed one, or get it again."
        ) from None
    return samples


def _take(samples: dict, path: Path, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    folder, _, file = member.name.rpartition("/")
    name, _, extension = file.partition(".")
    if not name:
        return  # hidden, such as what some systems add for resource forks
    sample = samples.setdefault(f"{folder}/{name}" if folder else name, {})
    extension = extension.lower()
    if f".{extension}" in SUFFIXES:
        sample["image"] = FilePart(str(path), member.offset_data, member.size)
        return
    stream = archive.extractfile(member)
    assert stream is not None  # only files come here
    content = stream.read()
    try:
        if extension == "json":
            sample |= {str(k): "" if v is None else str(v) for k, v in json.loads(content).items() if k != "image"}
        elif extension in ("cls", "cls2", "txt", "text", "id", "index") or member.size < 256:
            sample[extension] = content.decode("utf-8").strip()
    except (ValueError, AttributeError) as error:
        raise DataError(f"{path}: member {member.name} is not what its name says: {error}.") from None
