"""Waterbirds as published: metadata.csv with img_filename, y, split, place beside the folders of images.

Sagawa, Koh, Hashimoto and Liang, "Distributionally Robust Neural Networks for Group Shifts" (ICLR 2020): birds of
CUB-200 pasted on backgrounds of Places. Terms: non-commercial research and education only, as those two demand.

y: 0 landbird, 1 waterbird; place: 0 land, 1 water; split: 0 train, 1 validation, 2 test, which are the gate rows. The
four groups of the paper are the four (place, class) cells here.
"""

from pathlib import Path

from edgefair.data.attributes import choose
from edgefair.data.listing import Entry, FilePart, Listing
from edgefair.data.tables import read_rows
from edgefair.errors import DataError
from edgefair.log import Log
from edgefair.recipe.data import WaterbirdsSettings

TERMS = "non-commercial research and education only; cite Sagawa et al., ICLR 2020"
FILE = "metadata.csv"
KNOWN = {"y": ("landbird", "waterbird"), "place": ("land", "water")}
_PARTS = {"0": "train", "1": "validation", "2": "gate"}


def recognize(path: Path) -> bool:
    """Whether the folder has a metadata.csv that is or may have been such a list: any two of its columns are there.

    One with a column renamed is still recognised, so that reading it says what is wrong.
    """
    try:
        with open(path / FILE, encoding="utf-8-sig") as stream:
            return len({"img_id", "img_filename", "y", "place"} & set(stream.readline().strip().split(","))) >= 2
    except (OSError, UnicodeDecodeError):
        return False


def read(settings: WaterbirdsSettings, seed: int, log: Log) -> Listing:
    """The entries of the folder `settings.path`; raises DataError or RecipeError naming what is missing or wrong."""
    chosen = choose(settings, KNOWN, "Waterbirds")
    folder = Path(settings.path)
    entries = []
    for where, row in read_rows(folder / FILE, ("img_filename", "split", *KNOWN), "Waterbirds' list"):
        values = {name: _coded(where, name, row[name]) for name in KNOWN}
        if row["split"] not in _PARTS:
            raise DataError(f"{where}: split '{row['split']}' is not 0 (train), 1 (validation) or 2 (test).")
        image = FilePart(str(folder / row["img_filename"]))
        part = _PARTS[row["split"]]
        entries.append(Entry(image, chosen.label(values), chosen.group(values), row["img_filename"], where, part))
    about = {"name": "waterbirds", "source": str(folder), "terms": TERMS, **chosen.about()}
    return Listing(entries, about, chosen.class_names, chosen.group_names)


def _coded(where: str, column: str, text: str) -> str:
    if text not in ("0", "1"):
        raise DataError(f"{where}: {column} '{text}' is neither 0 ({KNOWN[column][0]}) nor 1 ({KNOWN[column][1]}).")
    return KNOWN[column][int(text)]
