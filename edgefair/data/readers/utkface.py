"""UTKFace as published: files named [age]_[gender]_[race]_[date].jpg, also .jpg.chip.jpg, in a folder or three parts.

Zhang, Song and Qi, "Age Progression/Regression by Conditional Adversarial Autoencoder" (CVPR 2017). Terms:
non-commercial research only; the images' rights are their owners'. Ages, genders and races were guessed by a program
and checked by a person. gender: 0 male, 1 female; race: 0 White, 1 Black, 2 Asian, 3 Indian, 4 others. Some published
names lack a field (39_1_20170116174525125.jpg): they are left out, counted and named.

Protocol of "BIRD", after the program of Jung et al. (CVPR 2021): task age in three bins (under 20, under 40, over),
protected attribute race in four groups without `others`; gate rows (data.balanced_test, on by default here) are the
last 100 of every (race, age) cell after random.seed(1) and a shuffle of the names in natural order; of a cell with
fewer than 200 images, as in a small copy, half of the smallest. Off, or in all other splits, rows are drawn by seed.
"""

import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgefair.data.attributes import GENDERS, age_name, age_names, choose
from edgefair.data.balance import by_cell
from edgefair.data.listing import Entry, FilePart, Listing, image_files
from edgefair.errors import DataError
from edgefair.log import Log
from edgefair.recipe.data import UtkfaceSettings

TERMS = "non-commercial research only; cite Zhang et al., CVPR 2017"
RACES = ("White", "Black", "Asian", "Indian")
_PER_CELL, _SEED = 100, 1  # of the published program
_NAME = re.compile(r"(\d{1,3})_([01])_([0-4])_\d+(\.\w+)*")
_PARTS = ("UTKFace", "part1", "part2", "part3", "crop_part1")


def recognize(path: Path) -> bool:
    """Whether most images of a folder, or of a part of the archive in it, are named in this way."""
    for folder in (path, *(path / part for part in _PARTS)):
        names = [file.name for _, file in zip(range(50), folder.glob("*.jpg"), strict=False)]
        if names and 2 * sum(parse(name) is not None for name in names) > len(names):
            return True
    return False


def parse(name: str) -> tuple[int, str, str] | None:
    """Age in years, gender and race (empty: others) of a file name; None where a field is missing or out of range."""
    found = _NAME.fullmatch(name)
    if not found or int(found[1]) > 116:
        return None
    race = int(found[3])
    return int(found[1]), GENDERS[1 - int(found[2])], RACES[race] if race < len(RACES) else ""


def read(settings: UtkfaceSettings, seed: int, log: Log) -> Listing:
    """The entries of the folder `settings.path`; raises DataError or RecipeError naming what is missing or wrong."""
    chosen = choose(settings, {"age": age_names(settings), "gender": GENDERS, "race": RACES}, "UTKFace")
    folder = Path(settings.path)
    entries: list[Entry] = []
    left_out: dict[str, list[str]] = {"file name without a known age, gender and race": [], "race 'others'": []}
    for file in image_files(folder):
        fields = parse(Path(file).name)
        if fields is None:
            left_out["file name without a known age, gender and race"].append(file)
            continue
        values = {"age": age_name(fields[0], settings), "gender": fields[1], "race": fields[2]}
        if not fields[2] and "race" in (chosen.task, *chosen.protected):
            left_out["race 'others'"].append(file)
            continue
        image = FilePart(str(folder / file))
        entries.append(Entry(image, chosen.label(values), chosen.group(values), file, file))
    if not entries:
        raise DataError(f"no UTKFace in {folder}: no image is named [age]_[gender]_[race]_[date].jpg.")
    if settings.balanced_test:
        entries, count = _with_gate(entries)
        if count < _PER_CELL:
            log.line(f"the gate has {count} rows of every cell, half of the smallest, not the published {_PER_CELL}")
    about: dict[str, Any] = {"name": "utkface", "source": str(folder), "terms": TERMS, **chosen.about()}
    about["balanced_test"] = settings.balanced_test
    return Listing(entries, about, chosen.class_names, chosen.group_names, left_out)


def _with_gate(entries: list[Entry]) -> tuple[list[Entry], int]:
    """The entries, of which as many of every cell as the published program draws are gate rows, and that number."""
    order = list(range(len(entries)))
    random.Random(_SEED).shuffle(order)
    cells = by_cell([entries[row] for row in order])
    take = min(_PER_CELL, min(len(rows) for rows in cells.values()) // 2)
    gate = {order[at] for rows in cells.values() for at in rows[len(rows) - take :]}
    return [replace(entry, split="gate") if row in gate else entry for row, entry in enumerate(entries)], take
