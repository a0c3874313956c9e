"""The published data sets: each layout is recognised and read, and every way in which a copy can be wrong is said."""

import json
import random
import re
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefair.data import READERS, SPLITS, recognize
from edgefair.data.attributes import AGES, age_name
from edgefair.data.readers.utkface import parse as parse_name
from edgefair.data.readers.wider import CLUSTERS, share_of_men
from edgefair.errors import DataError, RecipeError
from edgefair.preprocess import decode
from edgefair.recipe import parse
from tests.helpers import data_copies as copies
from tests.helpers.data_copies import alter, load

SHAPES = {  # classes and groups by default
    "celeba": (2, 2),
    "utkface": (3, 4),
    "wider": (16, 2),
    "svhn": (10, 1),
    "tinyimagenet": (3, 1),
    "imagenet": (3, 1),
    "waterbirds": (2, 2),
    "imagefolder": (2, 1),
    "manifest": (2, 2),
}


@pytest.mark.parametrize("name", SHAPES)
def test_each_layout_is_recognised_and_read(copy_of, name):
    folder = copy_of(name)
    assert recognize(str(folder))["name"] == name
    examples = load(folder)
    assert (len(examples.class_names), len(examples.group_names)) == SHAPES[name]
    taken = np.concatenate([examples.rows[part] for part in SPLITS])
    assert len(np.unique(taken)) == len(taken) == len(examples.ids) == len(examples.images)
    described = examples.describe()
    assert described["name"] == name
    assert described["terms"]
    assert described["broken_images"] == 0
    module = READERS[name]
    assert "Terms" in module.__doc__ or "terms" in module.__doc__


@pytest.mark.parametrize("name", sorted({*SHAPES} - {"svhn", "manifest"}))
def test_a_missing_and_a_truncated_image_are_named_or_counted(damaged, name):
    folder = damaged(name)
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    files = [file for file in files if name != "utkface" or ("_4_" not in file.name and file.name.count("_") == 3)]
    cut, gone = files[3], files[-2]
    cut.write_bytes(cut.read_bytes()[:-30])
    with pytest.raises(DataError, match=rf"cannot read the image .*{re.escape(cut.name)}.*--skip-broken"):
        load(folder)
    lost = 1
    if name in ("celeba", "wider", "waterbirds"):  # what a list names must be there; elsewhere the folder is the list
        gone.unlink()
        lost = 2
        with pytest.raises(DataError, match=rf"there is no image .*{re.escape(gone.name)} \(1 such rows\)"):
            load(folder)
    examples = load(folder, skip_broken=True)
    assert examples.about["broken_images"] == lost
    assert cut.name in " ".join(examples.about["broken_examples"])
    assert len(examples.images) == len(examples.ids)


def test_celeba_as_published(copy_of):
    folder = copy_of("celeba")
    examples = load(folder)
    assert examples.class_names == ("not Attractive", "Attractive")
    assert examples.group_names == ("not Male", "Male")
    numbers = np.array([int(id_[:6]) - 1 for id_ in examples.ids])
    assert (examples.labels == numbers // 2 % 2).all()
    assert (examples.groups == numbers // 4 % 2).all()
    assert set(numbers[examples.rows["gate"]]) == set(range(80, 96))
    assert set(numbers[examples.rows["validation"]]) == set(range(64, 80))
    assert (examples.images[5] == decode(folder / "img_align_celeba" / examples.ids[5], 8)).all()
    people = [set(examples.identities[examples.rows[name]]) for name in SPLITS]
    assert sum(map(len, people)) == len(set.union(*people)) == 48
    other = load(folder, task="Smiling", group="Male+Young")
    assert other.class_names == ("not Smiling", "Smiling")
    assert other.group_names == ("not Male+not Young", "not Male+Young", "Male+not Young", "Male+Young")


def test_celeba_where_the_author_archives_put_it(damaged, tmp_path):
    folder, official = damaged("celeba"), tmp_path / "official"
    for file, inside in (("list_attr_celeba.txt", "Anno"), ("identity_CelebA.txt", "Anno"),
                         ("list_eval_partition.txt", "Eval"), ("img_align_celeba", "Img")):  # fmt: skip
        (official / inside).mkdir(parents=True, exist_ok=True)
        shutil.move(folder / file, official / inside / file)
    assert len(load(official).ids) == 96
    (official / "Anno/identity_CelebA.txt").unlink()
    assert load(official).identities is None


def test_celeba_as_kaggle_has_it(copy_of, damaged, tmp_path):
    kaggle = tmp_path / "kaggle"
    deeper = kaggle / "img_align_celeba"
    deeper.mkdir(parents=True)
    folder = damaged("celeba")
    shutil.move(folder / "img_align_celeba", deeper)
    _, names, *rows = (folder / "list_attr_celeba.txt").read_text().splitlines()
    table = [f"image_id {names}", *rows]
    (kaggle / "list_attr_celeba.csv").write_text("\n".join(",".join(line.split()) for line in table))
    pairs = (folder / "list_eval_partition.txt").read_text().replace(" ", ",")
    (kaggle / "list_eval_partition.csv").write_text("image_id,partition\n" + pairs)
    assert recognize(str(kaggle))["name"] == "celeba"
    examples, published = load(kaggle), load(copy_of("celeba"))
    assert examples.identities is None
    assert (examples.images == published.images).all()
    assert (examples.labels == published.labels).all()
    assert (examples.groups == published.groups).all()
    alter(kaggle, "list_attr_celeba.csv", "000003.jpg,-1", "000003.jpg,0")
    with pytest.raises(DataError, match=r"list_attr_celeba\.csv, line 4: value '0' of 000003\.jpg is neither"):
        load(kaggle)
    alter(kaggle, "list_attr_celeba.csv", "image_id,", "name,")
    with pytest.raises(DataError, match="does not begin with image_id and names"):
        load(kaggle)


def test_celeba_balanced_test_is_balanced(damaged):
    folder = damaged("celeba")
    alter(folder, "list_eval_partition.txt", "000090.jpg 2", "000090.jpg 0")
    alter(folder, "list_eval_partition.txt", "000089.jpg 2", "000089.jpg 0")
    assert load(folder).counts("gate").tolist() == [[2, 4], [4, 4]]
    assert load(folder, balanced_test=True).counts("gate").tolist() == [[2, 2], [2, 2]]


def test_nobody_in_celeba_is_trained_on_and_judged(damaged):
    folder = damaged("celeba")
    alter(folder, "identity_CelebA.txt", "000001.jpg 9000", "000001.jpg 9047")  # who stands in the gate
    examples = load(folder)
    assert examples.about["left_out"]["the same person is judged"] == {"rows": 1, "examples": ["000001.jpg"]}
    assert len(examples.ids) == 95


WRONG_CELEBA = {
    "count": ("list_attr_celeba.txt", "96\n", "97\n", "says it has 97 images, but has 96"),
    "header": ("list_attr_celeba.txt", "96\n", "", "does not begin with the number"),
    "value": ("list_attr_celeba.txt", "000003.jpg -1", "000003.jpg 0", "line 5: value '0' of 000003.jpg is neither"),
    "short row": ("list_attr_celeba.txt", "000003.jpg -1", "000003.jpg", "line 5: 39 values of 000003.jpg, but 40"),
    "part": ("list_eval_partition.txt", "000004.jpg 0", "000004.jpg 3", "the part of 000004.jpg is '3', not 0"),
    "no part": ("list_eval_partition.txt", "000004.jpg 0\n", "", "the part of 000004.jpg is none, not 0"),
    "identity": ("identity_CelebA.txt", "000004.jpg ", "000004.jpg", "line 4: '000004.jpg9001' is not a file and a"),
}


@pytest.mark.parametrize("case", WRONG_CELEBA)
def test_wrong_celeba(damaged, case):
    folder = damaged("celeba")
    *change, words = WRONG_CELEBA[case]
    alter(folder, *change)
    with pytest.raises(DataError, match=words):
        load(folder)


def test_attributes_that_are_not_there(copy_of, damaged):
    with pytest.raises(RecipeError, match="'Atractive' is no CelebA column; did you mean 'Attractive'"):
        load(copy_of("celeba"), task="Atractive")
    with pytest.raises(RecipeError, match=r"data\.group 'Yung' is no CelebA column; did you mean 'Young'"):
        load(copy_of("celeba"), group="Male+Yung")
    with pytest.raises(RecipeError, match="names an attribute twice"):
        load(copy_of("celeba"), group="Male+Male")
    with pytest.raises(RecipeError, match="both 'gender'"):
        load(copy_of("utkface"), task="gender", group="gender")
    folder = damaged("celeba")
    shutil.rmtree(folder / "img_align_celeba")
    with pytest.raises(DataError, match="holds img_align_celeba"):
        load(folder)


def test_utkface_without_race_keeps_the_others(copy_of):
    examples = load(copy_of("utkface"), task="age", group="gender", balanced_test=False)
    assert len(examples.ids) == 180
    assert examples.group_names == ("Female", "Male")
    males = [id_.split("_")[1] == "0" for id_ in examples.ids]
    assert (examples.groups == np.array(males)).all()  # 0 is male in the names
    reasons = load(copy_of("utkface")).about["left_out"]
    assert reasons["race 'others'"]["rows"] == 36
    named = reasons["file name without a known age, gender and race"]
    assert named["rows"] == 3
    assert sorted(named["examples"]) == sorted(copies.MALFORMED)


def test_utkface_gate_is_the_published_draw(copy_of):
    """The loop of the published program, with half of the smallest cell in place of 100."""
    folder = copy_of("utkface")
    names = [p.name for p in folder.iterdir() if len(p.name.split("_")) == 4 and p.name.split("_")[2] not in ("4", "")]
    names = [name for name in names if parse_name(name)]
    names.sort(key=lambda name: [int(part) for part in re.findall(r"\d+", name)])
    state = random.getstate()
    random.seed(1)
    random.shuffle(names)
    random.setstate(state)
    count, expected = {}, set()
    for name in reversed(names):
        age, race = int(name.split("_")[0]), name.split("_")[2]
        cell = (race, 0 if age < 20 else 1 if age < 40 else 2)
        count[cell] = count.get(cell, 0) + 1
        if count[cell] <= 6:
            expected.add(name)
    examples = load(folder, seed=5)
    assert set(examples.ids[examples.rows["gate"]]) == expected
    assert (examples.counts("gate") == 6).all()


def test_utkface_without_images(tmp_path):
    copies.write_image(tmp_path / "face.jpg", 1)
    with pytest.raises(DataError, match=r"no image is named \[age\]_\[gender\]_\[race\]_\[date\]\.jpg"):
        load(tmp_path, name="utkface")


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.integers(0, 116), st.integers(0, 1), st.integers(0, 4), st.sampled_from([".jpg", ".jpg.chip.jpg"]))
def test_every_published_name_is_parsed(age, gender, race, suffix):
    races = ("White", "Black", "Asian", "Indian", "")
    name = f"{age}_{gender}_{race}_20170116174525125{suffix}"
    assert parse_name(name) == (age, ("Male", "Female")[gender], races[race])


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.one_of(st.text(max_size=30), st.from_regex(r"\d{0,4}_\d?_\d?_\d{0,5}(\.jpg)?", fullmatch=True)))
@pytest.mark.slow
def test_no_name_breaks_the_parser(name):
    fields = parse_name(name)
    assert fields is None or (0 <= fields[0] <= 116 and name.split("_")[1] in ("0", "1"))


@given(st.integers(0, 116))
def test_ages_fall_into_the_published_buckets(years):
    nine = parse({"data": {"name": "utkface", "age_buckets": 9}}).data
    low, _, high = age_name(years, nine).replace("more than 70", "70-200").partition("-")
    assert int(low) <= years <= int(high)
    assert age_name(years, nine) in AGES


def test_wider_clusters_genders_and_parts(copy_of):
    examples = load(copy_of("wider"))
    assert examples.class_names == tuple(CLUSTERS)
    for row in range(0, len(examples.ids), 7):
        scene = examples.ids[row].split("--")[1].split("/")[0].replace("_", " ").removesuffix(" Group").lower()
        assert scene in [name.lower() for name in CLUSTERS[examples.class_names[examples.labels[row]]]]
    kind = np.array([int(re.search(r"_(\d+)\.jpg", id_)[1]) for id_ in examples.ids])
    test = np.array([id_.startswith("test") for id_ in examples.ids])
    kind = np.where(test, kind % 5, kind // 3 % 5)
    assert set(examples.rows["gate"]) == set(np.flatnonzero(test))
    assert (examples.groups == np.array([0, 1, 1, -1, -1])[kind]).all()  # half men is male
    np.testing.assert_array_equal(examples.soft_groups, np.array([0, 0.5, 1, np.nan, np.nan], np.float32)[kind])
    assert {id_.split("/")[0] for id_ in examples.ids[examples.rows["validation"]]} == {"val"}
    assert len(load(copy_of("wider"), task="scene").class_names) == 30


def test_the_clusters_are_those_of_the_paper():
    assert len(CLUSTERS) == 16
    assert sum(map(len, CLUSTERS.values())) == len({scene for scenes in CLUSTERS.values() for scene in scenes}) == 30


@given(st.lists(st.sampled_from([-1, 0, 1]), max_size=20))
def test_share_of_men_is_over_those_whose_gender_is_stated(genders):
    men, women = genders.count(1), genders.count(-1)
    share = share_of_men(genders)
    assert share == men / (men + women) if men + women else np.isnan(share)


WRONG_WIDER = {
    "gender": (lambda image: image["targets"][0]["attribute"].__setitem__(0, 2), "image 0: gender 2 of a person"),
    "scene": (lambda image: image.update(scene_id=2), r"image 0: scene 2 \('None'\) is none of Aerobics"),
    "part": (lambda image: image.update(file_name="extra/a.jpg"), "extra/a.jpg is in none of the folders"),
    "key": (lambda image: image.pop("targets"), "image 0: has no 'targets'"),
}


@pytest.mark.parametrize("case", WRONG_WIDER)
def test_wrong_wider(damaged, case):
    folder = damaged("wider")
    path = folder / "wider_attribute_trainval.json"
    stored = json.loads(path.read_text())
    change, words = WRONG_WIDER[case]
    change(stored["images"][0])
    path.write_text(json.dumps(stored))
    with pytest.raises(DataError, match=words):
        load(folder)
    path.write_text(path.read_text()[:-9])
    with pytest.raises(DataError, match=r"trainval\.json is not JSON: .*Unpack"):
        load(folder)
    path.write_text("{}")
    with pytest.raises(DataError, match="has no list 'images'"):
        load(folder)
