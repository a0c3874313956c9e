"""Miniatures of the published data sets, laid out exactly as their authors do; every image has a colour of its own."""

import csv
import json

import numpy as np
from PIL import Image

from edgefair.data import load_examples, recognize
from edgefair.log import Log
from edgefair.recipe import parse

CELEBA = [
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs", "Big_Lips",
    "Big_Nose", "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Double_Chin",
    "Eyeglasses", "Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open",
    "Mustache", "Narrow_Eyes", "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline",
    "Rosy_Cheeks", "Sideburns", "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat",
    "Wearing_Lipstick", "Wearing_Necklace", "Wearing_Necktie", "Young",
]  # fmt: skip
# What the authors publish with a field missing; the last one has no gender.
MALFORMED = ("39_1_20170116174525125.jpg", "61_1_20170109142408075.jpg.chip.jpg", "53__0_20170116184028385.jpg")
SCENES = {
    0: "Parade", 1: "Handshaking", 3: "Riot", 4: "Dancing", 6: "Funeral", 7: "Cheering", 11: "Meeting",
    15: "Stock_Market", 17: "Ceremony", 18: "Concerts", 19: "Couple", 20: "Family_Group", 22: "Picnic",
    25: "Soldier_Patrol", 27: "Spa", 28: "Sports_Fan", 30: "Surgeons", 31: "Waiter_Waitress", 33: "Running",
    35: "Basketball", 36: "Football", 37: "Soccer", 39: "Ice_Skating", 43: "Row_Boat", 44: "Aerobics",
    50: "Celebration_Or_Party", 51: "Dresses", 54: "Rescue", 57: "Angler", 58: "Hockey",
}  # fmt: skip
WNIDS = {"n01443537": "goldfish, Carassius auratus", "n01629819": "European fire salamander", "n02086240": "goldfish"}


def colour(index):
    return (index * 7 % 256, index * 31 % 256, index * 101 % 256)


def write_image(path, index, size=(12, 10), grey=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L" if grey else "RGB", size, colour(index)[0] if grey else colour(index)).save(path, "JPEG")


def write_lines(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def celeba(folder, rows=96):
    """Two thirds train; two images of a person one after the other; Attractive and Male in all four combinations."""
    attributes, parts, people = [str(rows), " ".join(CELEBA) + " "], [], []
    for index in range(rows):
        file = f"{index + 1:06d}.jpg"
        signs = [" 1" if (index // 2 + at) % 3 == 0 else "-1" for at in range(40)]
        signs[CELEBA.index("Attractive")] = ("-1", " 1")[index // 2 % 2]
        signs[CELEBA.index("Male")] = ("-1", " 1")[index // 4 % 2]
        attributes.append(f"{file} {' '.join(signs)}")
        parts.append(f"{file} {0 if index < rows * 2 // 3 else 1 if index < rows * 5 // 6 else 2}")
        people.append(f"{file} {9000 + index // 2}")
        write_image(folder / "img_align_celeba" / file, index, (18, 22))
    write_lines(folder / "list_attr_celeba.txt", attributes)
    write_lines(folder / "list_eval_partition.txt", parts)
    write_lines(folder / "identity_CelebA.txt", people)
    return folder


def utkface(folder, each=6):
    """`each` of every age bin, gender and of five races, half of them with the suffix of the cropped files."""
    for number, (age, gender, race, index) in enumerate(
        (age, gender, race, index)
        for age in (3, 25, 61)
        for gender in (0, 1)
        for race in range(5)
        for index in range(each)
    ):
        suffix = ".jpg.chip.jpg" if index % 2 else ".jpg"
        write_image(folder / f"{age + index}_{gender}_{race}_2017011{number:010d}{suffix}", number)
    for number, name in enumerate(MALFORMED):
        write_image(folder / name, number)
    return folder


def person(gender):
    return {"bbox": [1, 2, 3, 4], "attribute": [gender, *([0, -1, 1] * 5)[:13]]}


def wider(folder, each=5):
    """Genders of the people by turns: all women, a man and a woman, men and not stated, nobody stated, no people."""
    kinds = ([-1, -1], [1, -1, 0], [1, 0, 0], [0], [])
    parts = {"trainval": ("train", "train", "val"), "test": ("test",)}
    for file, folders in parts.items():
        images = []
        for scene, name in SCENES.items():
            for index in range(each * len(folders)):
                part = folders[index % len(folders)]
                path = f"{part}/{scene}--{name}/{scene}_{name}_{index}.jpg"
                people = [person(gender) for gender in kinds[index // len(folders) % 5]]
                images.append({"targets": people, "file_name": path, "scene_id": scene})
                write_image(folder / "Image" / path, scene * 20 + index)
        names = {"0": "Male", "1": "longHair"}
        scenes = {str(scene): name for scene, name in SCENES.items()}
        stored = {"images": images, "attribute_id_map": names, "scene_id_map": scenes}
        (folder / f"wider_attribute_{file}.json").write_text(json.dumps(stored))
    return folder


def svhn(folder, rows=60):
    from scipy.io import savemat

    for part in ("train", "test"):
        images = np.zeros((32, 32, 3, rows), np.uint8)
        labels = np.arange(rows)[:, None] % 10 + 1  # 10 is the digit 0
        for index in range(rows):
            images[..., index] = colour(index)
            images[:5, :, 0, index] = labels[index]
        savemat(folder / f"{part}_32x32.mat", {"X": images, "y": labels.astype(np.uint8)})
    return folder


def tinyimagenet(folder, each=12):
    write_lines(folder / "wnids.txt", WNIDS)
    write_lines(folder / "words.txt", [f"{wnid}\t{words}" for wnid, words in WNIDS.items()] + ["n09999999\tnothing"])
    found = []
    for at, wnid in enumerate(WNIDS):
        for index in range(each):
            file = f"{wnid}_{index}.JPEG"
            write_image(folder / "train" / wnid / "images" / file, at * 50 + index, (64, 64), grey=index == 0)
            write_image(folder / "val" / "images" / f"val_{at * each + index}.JPEG", index, (64, 64), grey=index == 1)
            found.append(f"val_{at * each + index}.JPEG\t{wnid}\t0\t32\t44\t62")
        write_lines(folder / "train" / wnid / f"{wnid}_boxes.txt", [f"{wnid}_0.JPEG\t0\t10\t63\t58"])
    write_lines(folder / "val" / "val_annotations.txt", found)
    return folder


def imagenet(folder, each=12):
    for part in ("train", "val"):
        for at, wnid in enumerate(WNIDS):
            for index in range(each):
                write_image(folder / part / wnid / f"{wnid}_{index}.JPEG", at * 50 + index, grey=index == 0)
    return folder


def waterbirds(folder, rows=120):
    lines = ["img_id,img_filename,y,split,place,place_filename"]
    for index in range(rows):
        y, place, split = index % 2, index // 2 % 2, (0, 0, 0, 1, 2)[index // 4 % 5]
        file = f"{y:03d}.Bird_{y}/Bird_{index:04d}.jpg"
        lines.append(f"{index + 1},{file},{y},{split},{place},/b/bamboo_forest/{index:08d}.jpg")
        write_image(folder / file, index)
    write_lines(folder / "metadata.csv", lines)
    return folder


def imagefolder(folder, each=8, groups=("in", "out")):
    for part in ("train", "val", "test"):
        for at, label in enumerate(("cat", "dog")):
            for index in range(each):
                inside = (groups[index % len(groups)],) if groups else ()
                write_image(folder.joinpath(part, label, *inside, f"img{index}.png"), at * 60 + index)
    return folder


def rows_of_faces(rows=80):
    return [{"age": index % 3, "gender": ("f", "m")[index // 3 % 2], "index": index} for index in range(rows)]


def huggingface(folder, rows=80, splits=("train", "test")):
    import io

    import datasets

    kinds = datasets.Features(
        image=datasets.Image(),
        label=datasets.ClassLabel(names=["young", "middle", "old"]),
        gender=datasets.Value("string"),
    )
    made = {}
    for split in splits:
        table = {"image": [], "label": [], "gender": []}
        for row in rows_of_faces(rows):
            buffer = io.BytesIO()
            Image.new("RGB", (12, 10), colour(row["index"])).save(buffer, "PNG")
            table["image"].append({"bytes": buffer.getvalue(), "path": None})
            table["label"].append(row["age"])
            table["gender"].append(row["gender"] if row["index"] % 10 else None)
        made[split] = datasets.Dataset.from_dict(table, features=kinds)
    datasets.DatasetDict(made).save_to_disk(folder)
    return folder


def webdataset(folder, rows=60):
    import webdataset as wds

    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "test"):
        for shard in range(2):
            with wds.TarWriter(str(folder / f"{part}-{shard:06d}.tar")) as sink:
                for index in range(shard, rows, 2):
                    pixels = np.full((10, 12, 3), colour(index), np.uint8)
                    about = {"gender": ("f", "m")[index // 3 % 2], "race": None if index % 9 == 0 else "r"}
                    sink.write({"__key__": f"{index:06d}", "png": pixels, "cls": index % 3, "json": about})
    return folder


def manifest(folder, rows=80, suffix="csv"):
    table = []
    for index in range(rows):
        label, gender, race = ("cat", "dog")[index % 2], ("f", "m")[index // 2 % 2], ("a", "b", "")[index // 4 % 3]
        write_image(folder / "images" / f"{index}.jpg", index)
        table.append({"path": f"images/{index}.jpg", "label": label, "group": gender, "race": race})
    if suffix == "csv":
        with open(folder / "manifest.csv", "w", newline="") as stream:
            writer = csv.DictWriter(stream, table[0])
            writer.writeheader()
            writer.writerows(table)
    else:
        import pyarrow
        from pyarrow import parquet

        table = [{**row, "race": row["race"] or None} for row in table]
        parquet.write_table(pyarrow.Table.from_pylist(table), folder / "manifest.parquet")
    return folder


def load(folder, seed=0, **data):
    """Examples of a copy, small enough for every list to have rows; recognised unless a name is given."""
    name = data.pop("name", None)
    values = {"name": name, "path": str(folder)} if name else recognize(str(folder))
    recipe = parse({"data": {"image_size": 8, "calibration_share": 0.2, **values, **data}}).data
    return load_examples(recipe, seed, Log(quiet=True))


def alter(folder, file, old, new):
    """Replace the first of some words in a text file."""
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))
