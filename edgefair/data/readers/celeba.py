"""CelebA as published: list_attr_celeba.txt, list_eval_partition.txt, identity_CelebA.txt, img_align_celeba.

Liu, Luo, Wang and Tang, "Deep Learning Face Attributes in the Wild" (ICCV 2015): 202,599 aligned faces of 10,177 people
with 40 attributes, 1 or -1. Terms: non-commercial research only; no copy may be passed on; the images' rights are their
owners'. Attributes, `Male` among them, are annotators' perceptions. Kaggle's copy, with the two lists as .csv, no
identities and the images one folder deeper, is read too.

The official partition holds: 0 train, 1 validation, 2 gate. Nobody is trained on and judged: should a person stand in
two parts, the gate keeps them, then validation, and the other images are left out and counted. Default task and
protected attribute are those of "BIRD" and of Jung et al. (CVPR 2021): Attractive, Male. With data.balanced_test the
gate is cut down to the size of its smallest (group, class) cell in every cell, as in the program of the latter.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgefair.data.attributes import choose
from edgefair.data.balance import balanced
from edgefair.data.listing import Entry, FilePart, Listing, first_folder, needed_folder
from edgefair.data.tables import read_text
from edgefair.errors import DataError
from edgefair.log import Log
from edgefair.recipe.data import CelebaSettings

TERMS = "non-commercial research only, not to be passed on; cite Liu et al., ICCV 2015"
ATTRIBUTES, PARTITION = "list_attr_celeba.txt", "list_eval_partition.txt"
IDENTITY, IMAGES = "identity_CelebA.txt", "img_align_celeba"
_INSIDE = ("celeba", "Anno", "Eval", "Img", "CelebA/Anno", "CelebA/Eval", "CelebA/Img")
_PARTS = {"0": "train", "1": "validation", "2": "gate"}


def recognize(path: Path) -> bool:
    """Whether the attributes lie in a folder or where the author's archive has them."""
    return any(first_folder(path, _INSIDE, name) is not None for name in (ATTRIBUTES, _csv(ATTRIBUTES)))


def read(settings: CelebaSettings, seed: int, log: Log) -> Listing:
    """The entries of the folder `settings.path`; raises DataError or RecipeError naming what is missing or wrong."""
    root = Path(settings.path)
    place = {name: _place(root, name) for name in (ATTRIBUTES, PARTITION, IMAGES)}
    names, rows = read_attributes(place[ATTRIBUTES])
    known = {name: (f"not {name}", name) for name in names}
    chosen = choose(settings, known, "CelebA")
    columns = {name: names.index(name) for name in (chosen.task, *chosen.protected)}
    parts = _pairs(place[PARTITION])
    people = _people(root)
    if not people:
        log.line(f"no {IDENTITY}: who is shown is not known, and a person may be in two splits; ask the authors for it")
    entries = []
    for where, file, signs in rows:
        values = {name: known[name][signs[column] == "1"] for name, column in columns.items()}
        image = FilePart(str(place[IMAGES] / file))
        part = _part(parts, file, place[PARTITION])
        label, group = chosen.label(values), chosen.group(values)
        entries.append(Entry(image, label, group, file, where, part, people.get(file, "")))
    entries, seen_elsewhere = one_part_a_person(entries)
    if settings.balanced_test:
        entries = balanced(entries, seed, "celeba")
    about: dict[str, Any] = {"name": "celeba", "source": str(root), "terms": TERMS, **chosen.about()}
    about |= {"identities": len(set(people.values())), "balanced_test": settings.balanced_test}
    left_out = {"the same person is judged": seen_elsewhere}
    return Listing(entries, about, chosen.class_names, chosen.group_names, left_out)


def _csv(name: str) -> str:
    return name.replace(".txt", ".csv")


def _place(root: Path, name: str) -> Path:
    """Where a list, or its .csv, or the folder of images lies."""
    if first_folder(root, _INSIDE, name) is None and (kaggle := first_folder(root, _INSIDE, _csv(name))):
        return kaggle / _csv(name)
    place = needed_folder(root, _INSIDE, name, "CelebA") / name
    return place / name if (place / name).is_dir() else place


def read_attributes(path: Path) -> tuple[list[str], list[tuple[str, str, list[str]]]]:
    """Names of the attributes, and of every image (where, file, its signs "1" or "-1").

    The first line is the number of images, the second the names; of a .csv the first has `image_id` and the names.
    Raises DataError for another layout or a short file.
    """
    lines = list(_lines(path))
    if path.suffix == ".csv" and lines and lines[0][1][0] == "image_id":
        lines = [("", [str(len(lines) - 1)]), ("", lines[0][1][1:]), *lines[1:]]
    if len(lines) < 2 or len(lines[0][1]) != 1 or not lines[0][1][0].isdecimal():
        begin = "image_id and names" if path.suffix == ".csv" else "the number of its images and a line of names"
        raise DataError(f"{path} does not begin with {begin}; use the author's.")
    names, rows = lines[1][1], [(where, fields[0], fields[1:]) for where, fields in lines[2:]]
    for where, file, signs in rows:
        if len(signs) != len(names):
            raise DataError(f"{where}: {len(signs)} values of {file}, but {len(names)} attributes.")
        if not {"1", "-1"}.issuperset(signs):
            wrong = next(sign for sign in signs if sign not in ("1", "-1"))
            raise DataError(f"{where}: value '{wrong}' of {file} is neither 1 nor -1.")
    if len(rows) != int(lines[0][1][0]):
        raise DataError(f"{path} says it has {lines[0][1][0]} images, but has {len(rows)}. Unpack it again, whole.")
    return names, rows


def _lines(path: Path) -> Iterator[tuple[str, list[str]]]:
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if fields := line.replace(",", " ").split():
            yield f"{path.name}, line {number}", fields


def _pairs(path: Path) -> dict[str, str]:
    """File -> value of a list; a .csv has a header."""
    pairs, lines = {}, list(_lines(path))
    for where, fields in lines[path.suffix == ".csv" :]:
        if len(fields) != 2:
            raise DataError(f"{where}: '{' '.join(fields)}' is not a file and a number.")
        pairs[fields[0]] = fields[1]
    return pairs


def _people(root: Path) -> dict[str, str]:
    folder = first_folder(root, _INSIDE, IDENTITY)  # the author sends it on request: many copies are without
    return _pairs(folder / IDENTITY) if folder else {}


def _part(parts: dict[str, str], file: str, path: Path) -> str:
    if parts.get(file) not in _PARTS:
        found = f"'{parts[file]}'" if file in parts else "none"
        raise DataError(f"{path.name}: the part of {file} is {found}, not 0 (train), 1 (validation) or 2 (test).")
    return _PARTS[parts[file]]


def one_part_a_person(entries: list[Entry]) -> tuple[list[Entry], list[str]]:
    """The entries without those whose person is in a split that judges them, and the ids of these."""
    rank = {"gate": 2, "validation": 1, "train": 0}
    highest: dict[str, int] = {}
    for entry in entries:
        if entry.identity:
            highest[entry.identity] = max(highest.get(entry.identity, 0), rank[entry.split])
    lost = {e.id for e in entries if e.identity and rank[e.split] < highest[e.identity]}
    return [e for e in entries if e.id not in lost], [e.id for e in entries if e.id in lost]
