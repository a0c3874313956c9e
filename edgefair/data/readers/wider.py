"""WIDER Attribute as published: wider_attribute_trainval.json and wider_attribute_test.json beside the folder Image.

Li, Huang, Loy and Tang, "Human Attribute Recognition by Deep Hierarchical Contexts" (ECCV 2016): 13,789 images of 30
scenes with 57,524 people, each with 14 attributes that are 1, -1 or 0 (not stated). Terms: non-commercial research.

Task `cluster` (the default): the 16 clusters of scenes of Bang, Bolner, Hutton and Morin, "Optimizing Efficiency,
Ensuring Equity", table 1; task `scene`: the 30 scenes. Protected attribute `gender`: z, the share of men among the
people of an image whose gender is stated, is kept as soft_group; the group is male where z >= 0.5 (section 4.2.1).
Where nobody's gender is stated the group is unknown; the program of that paper counts such people as women. The
published parts hold: train, val -> validation, test -> gate. The paper moved half of the test images into training.
"""

import json
import math
import re
from pathlib import Path

from edgefair.data.attributes import choose
from edgefair.data.listing import Entry, FilePart, Listing, first_folder, needed_folder, normalize_split
from edgefair.data.tables import read_text
from edgefair.errors import DataError
from edgefair.log import Log
from edgefair.recipe.data import WiderSettings

TERMS = "non-commercial research only; cite Li et al., ECCV 2016"
FILES = ("wider_attribute_trainval.json", "wider_attribute_test.json")
_INSIDE = ("wider_attribute_annotation", "Anno", "Annotations")
CLUSTERS = {
    "Business": ("Handshaking", "Stock Market", "Meeting"),
    "Celebration": ("Ceremony", "Funeral", "Celebration or Party"),
    "Cheering": ("Sports Fan", "Cheering"),
    "Dresses": ("Dresses",),
    "Family": ("Couple", "Family"),
    "Individual Sports": ("Running", "Aerobics", "Ice Skating"),
    "Law Enforcement": ("Soldier Patrol", "Riot"),
    "Parade": ("Parade",),
    "Performance and Entertainment": ("Concerts", "Dancing"),
    "Picnic": ("Picnic",),
    "Rescue": ("Rescue",),
    "Spa": ("Spa",),
    "Surgeons": ("Surgeons",),
    "Team Sports": ("Hockey", "Football", "Basketball", "Soccer"),
    "Waiter or Waitress": ("Waiter Waitress",),
    "Water Activities": ("Row Boat", "Angler"),
}
SCENES = tuple(sorted(scene for scenes in CLUSTERS.values() for scene in scenes))
GENDERS = ("female", "male")
_CLUSTER_OF = {scene: cluster for cluster, scenes in CLUSTERS.items() for scene in scenes}


def _bare(name: str) -> str:
    """A scene's name without what differs between folders and paper: Family_Group and Family, Row_Boat and Row Boat."""
    return re.sub(r"[^a-z]", "", re.sub(r"^\d+--", "", name.lower())).removesuffix("group")


_SCENE_OF = {_bare(scene): scene for scene in SCENES}


def recognize(path: Path) -> bool:
    """Whether the annotations lie in a folder or in one of its usual folders."""
    return first_folder(path, _INSIDE, FILES[0]) is not None


def read(settings: WiderSettings, seed: int, log: Log) -> Listing:
    """The entries of the folder `settings.path`; raises DataError or RecipeError naming what is missing or wrong."""
    root = Path(settings.path)
    known = {"cluster": tuple(CLUSTERS), "scene": SCENES, "gender": GENDERS}
    chosen = choose(settings, known, "WIDER")
    images = needed_folder(root, ("WIDER",), "Image", "WIDER Attribute") / "Image"
    entries = []
    for file in FILES:
        stored = read_annotations(needed_folder(root, _INSIDE, file, "WIDER Attribute") / file)
        for row, image in enumerate(stored["images"]):
            entries.append(_entry(images, f"{file}, image {row}", image, stored["scene_id_map"], chosen))
    about = {"name": "wider", "source": str(root), "terms": TERMS, **chosen.about()}
    nobody = {"nobody's gender is stated": [entry.id for entry in entries if not entry.label]}
    entries = [entry for entry in entries if entry.label]
    return Listing(entries, about, chosen.class_names, chosen.group_names, nobody)


def read_annotations(path: Path) -> dict:
    """The content of one of the two files; raises DataError where it is not laid out as published."""
    try:
        stored = json.loads(read_text(path))
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}. Unpack the authors' archive again, whole.") from None
    for name, kind in (("images", list), ("scene_id_map", dict)):
        if not isinstance(stored, dict) or not isinstance(stored.get(name), kind):
            raise DataError(f"{path} has no {'list' if kind is list else 'map'} '{name}'; use the author's file.")
    return stored


def _entry(folder: Path, where: str, image: dict, scenes: dict, chosen) -> Entry:
    try:
        file, scene_id, people = str(image["file_name"]), str(image["scene_id"]), image["targets"]
        genders = [person["attribute"][0] for person in people]
    except (KeyError, IndexError, TypeError) as error:
        raise DataError(f"{where}: has no {error}; an image has file_name, scene_id and targets.") from None
    scene = _SCENE_OF.get(_bare(str(scenes.get(scene_id, ""))))
    if scene is None:
        raise DataError(
            f"{where}: scene {scene_id} ('{scenes.get(scene_id)}') is none of {', '.join(SCENES)}. "
            "Give the published file, or correct its scene_id_map."
        )
    share = share_of_men(genders, where)
    part = normalize_split(file.split("/")[0])
    if part not in ("train", "validation", "gate"):
        raise DataError(f"{where}: {file} is in none of the folders train, val and test.")
    gender = "" if math.isnan(share) else GENDERS[share >= 0.5]
    values = {"scene": scene, "cluster": _CLUSTER_OF[scene], "gender": gender}
    return Entry(
        FilePart(str(folder / file)), chosen.label(values), chosen.group(values), file, where, part, soft_group=share
    )


def share_of_men(genders: list[int], where: str = "") -> float:
    """z: of the people whose gender is stated, 1 man or -1 woman, the share of men; NaN where there are none."""
    wrong = [value for value in genders if value not in (1, -1, 0)]
    if wrong:
        raise DataError(f"{where}: gender {wrong[0]!r} of a person is not 1, -1 or 0 (not stated).")
    stated = [value for value in genders if value]
    return sum(value > 0 for value in stated) / len(stated) if stated else math.nan
