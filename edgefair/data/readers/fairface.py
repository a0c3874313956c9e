"""FairFace as published: fairface_label_train.csv and fairface_label_val.csv with columns file, age, gender, race.

Kärkkäinen and Joo, "FairFace: Face Attribute Dataset for Balanced Race, Gender, and Age" (WACV 2021); CC BY 4.0. Ages,
genders and races are annotators' perceptions, not what the people shown would say of themselves.
The published validation images are the gate rows; the other splits are drawn from the training images.
"""

from pathlib import Path

from edgefair.data.attributes import AGES, GENDERS, THREE_AGES, age_names, choose
from edgefair.data.listing import Entry, FilePart, Listing
from edgefair.data.tables import read_rows
from edgefair.log import Log
from edgefair.recipe.data import FairfaceSettings

TERMS = "CC BY 4.0; cite Kärkkäinen and Joo, WACV 2021"
RACES = ("Black", "East Asian", "Indian", "Latino_Hispanic", "Middle Eastern", "Southeast Asian", "White")
_FILES = {"": "fairface_label_train.csv", "gate": "fairface_label_val.csv"}


def recognize(path: Path) -> bool:
    """Whether the label files lie in a folder."""
    return (path / _FILES[""]).is_file()


def read(settings: FairfaceSettings, seed: int, log: Log) -> Listing:
    """The entries of the folder `settings.path`; raises DataError or RecipeError naming what is missing or wrong."""
    known = {"age": age_names(settings), "gender": GENDERS, "race": RACES}
    chosen = choose(settings, known, "FairFace")
    folder, entries = Path(settings.path), []
    for split, file in _FILES.items():
        for where, values in read_rows(folder / file, ("file", *known), "FairFace's labels"):
            values["age"] = _age(values["age"], settings)
            image = FilePart(str(folder / values["file"]))
            entries.append(Entry(image, chosen.label(values), chosen.group(values), values["file"], where, split))
    about = {"name": "fairface", "source": str(folder), "terms": TERMS, **chosen.about()}
    return Listing(entries, about, chosen.class_names, chosen.group_names)


def _age(text: str, settings: FairfaceSettings) -> str:
    """The bucket of a published one, such as 20-29 or `more than 70`; anything else stays, and will be refused."""
    if settings.age_buckets == 3 and text in AGES:
        return THREE_AGES[(AGES.index(text) >= 3) + (AGES.index(text) >= 5)]
    return text
