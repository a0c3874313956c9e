"""Data sets on disk: manifests and FairFace folders, and every way in which they can be wrong."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgefair.data import SPLITS, load_examples, recognize, rows_of_cells
from edgefair.data.build import indices
from edgefair.data.listing import Entry, FilePart
from edgefair.data.splits import split
from edgefair.errors import DataError, RecipeError
from edgefair.preprocess import decode
from edgefair.recipe import parse
from edgefair.seeds import generator


def write_image(path, colour=(200, 30, 30), size=(20, 16)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def write_manifest(folder, rows, columns=("path", "label", "group")):
    with open(folder / "manifest.csv", "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(rows)
    return folder / "manifest.csv"


@pytest.fixture
def photographs(tmp_path):
    """Eighty small images of two classes and two groups, twenty a cell."""
    rows = []
    for index in range(80):
        label, group = ("cat", "dog")[index % 2], ("in", "out")[index // 2 % 2]
        write_image(tmp_path / "images" / f"{index}.png", (index * 3, 90 * (index % 2), 50))
        rows.append([f"images/{index}.png", label, group])
    return tmp_path, rows


def recipe_of(path, **data):
    return parse({"data": {"name": "manifest", "path": str(path), "image_size": 8, **data}}).data


def test_a_manifest_becomes_five_disjoint_lists(photographs, quiet):
    folder, rows = photographs
    examples = load_examples(recipe_of(write_manifest(folder, rows)), 0, quiet)
    assert examples.class_names == ("cat", "dog")
    assert examples.group_names == ("in", "out")
    taken = np.concatenate([examples.rows[name] for name in SPLITS])
    assert sorted(taken) == list(range(80))
    assert (examples.counts("gate") == 5).all()
    assert (examples.images[3] == decode(folder / "images/3.png", 8)).all()


def test_the_same_seed_draws_the_same_lists(photographs, quiet):
    folder, rows = photographs
    path = write_manifest(folder, rows)
    lists = [load_examples(recipe_of(path), seed, quiet).rows["gate"].tolist() for seed in (0, 0, 1)]
    assert lists[0] == lists[1] != lists[2]


def test_split_column_identity_and_unknown_groups(photographs, quiet):
    folder, rows = photographs
    told = [
        [*row[:2], row[2] if index % 10 else "", "test" if index < 20 else "train", f"id{index}", f"person{index // 4}"]
        for index, row in enumerate(rows)
    ]
    path = write_manifest(folder, told, ("path", "label", "group", "split", "id", "identity"))
    examples = load_examples(recipe_of(path), 0, quiet)
    assert examples.rows["gate"].tolist() == list(range(20))
    assert (examples.groups == -1).sum() == 8
    assert examples.ids[5] == "id5"
    owner = {}
    for name in SPLITS:
        for row in examples.rows[name]:
            assert owner.setdefault(examples.identities[row], name) == name


WRONG = {
    "no rows": ([], {}, "names no images"),
    "missing file": (
        [["images/none.png", "cat", "in"], ["images/1.png", "dog", "out"]],
        {},
        "line 2: there is no image",
    ),
    "outside": ([["../secret.png", "cat", "in"]], {}, "leaves the manifest's folder"),
    "absolute": ([["/etc/passwd", "cat", "in"]], {}, "leaves the manifest's folder"),
    "no label": ([["images/0.png", "", "in"]], {}, "line 2: path and label must not be empty"),
    "undeclared class": (
        [["images/0.png", "cta", "in"]],
        {"classes": ["cat", "dog"]},
        "class 'cta' is not declared; did you mean 'cat'",
    ),
    "undeclared group": (
        [["images/0.png", "cat", "inn"]],
        {"groups": ["in", "out"], "classes": ["cat", "dog"]},
        "group 'inn' is not declared",
    ),
    "one class": ([["images/0.png", "cat", "in"], ["images/1.png", "cat", "out"]], {}, "only 1 class found"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_manifests_say_what_is_wrong(photographs, quiet, case):
    folder, _ = photographs
    rows, data, words = WRONG[case]
    with pytest.raises(DataError, match=words):
        load_examples(recipe_of(write_manifest(folder, rows), **data), 0, quiet)


def test_other_wrong_manifests(photographs, quiet, tmp_path):
    folder, rows = photographs
    with pytest.raises(DataError, match="no column 'label'; its columns are path, lable, group"):
        load_examples(recipe_of(write_manifest(folder, rows, ("path", "lable", "group"))), 0, quiet)
    with pytest.raises(DataError, match="cannot read the manifest"):
        load_examples(recipe_of(tmp_path / "none.csv"), 0, quiet)
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00path")
    with pytest.raises(DataError, match="UTF-8"):
        load_examples(recipe_of(tmp_path / "bytes.csv"), 0, quiet)
    with pytest.raises(DataError, match=r"line 82: id .* repeats the one at manifest\.csv, line 2"):
        load_examples(recipe_of(write_manifest(folder, [*rows, rows[0]])), 0, quiet)
    told = [[*row, "trian"] for row in rows]
    with pytest.raises(DataError, match="split 'trian' is unknown; did you mean 'train'"):
        load_examples(recipe_of(write_manifest(folder, told, ("path", "label", "group", "split"))), 0, quiet)
    told = [[*row, ("train", "test")[i % 2], "one person"] for i, row in enumerate(rows)]
    with pytest.raises(DataError, match="identity 'one person'"):
        load_examples(
            recipe_of(write_manifest(folder, told, ("path", "label", "group", "split", "identity"))), 0, quiet
        )


def test_broken_images_are_named_or_left_out_and_counted(photographs, quiet):
    folder, rows = photographs
    whole = (folder / "images/7.png").read_bytes()
    (folder / "images/7.png").write_bytes(whole[: len(whole) // 2])
    (folder / "images/9.png").write_text("no image")
    (folder / "images/11.png").unlink()
    path = write_manifest(folder, rows)
    (folder / "images/11.png").write_bytes(whole)
    with pytest.raises(DataError, match=r"line 9: cannot read the image .*7\.png.*--skip-broken"):
        load_examples(recipe_of(path), 0, quiet)
    (folder / "images/11.png").unlink()
    examples = load_examples(recipe_of(path, skip_broken=True), 0, quiet)
    assert len(examples.ids) == 77
    assert examples.about["broken_images"] == 3


def test_a_changed_image_is_prepared_again(photographs, quiet):
    folder, rows = photographs
    path = write_manifest(folder, rows)
    before = load_examples(recipe_of(path), 0, quiet).images[0].copy()
    write_image(folder / "images/0.png", (1, 2, 3), size=(30, 30))
    assert (load_examples(recipe_of(path), 0, quiet).images[0] != before).any()


def test_calibration_takes_the_same_number_of_every_cell(photographs, quiet):
    folder, rows = photographs
    examples = load_examples(recipe_of(write_manifest(folder, rows), calibration_share=0.2), 0, quiet)
    chosen, cells, short = rows_of_cells(examples, "calibration", 3, generator(0, "x"))
    assert len(np.unique(chosen)) == 12
    assert set(chosen) <= set(examples.rows["calibration"])
    assert np.bincount(cells).tolist() == [3, 3, 3, 3]
    assert (examples.groups[chosen] * 2 + examples.labels[chosen] == cells).all()
    assert not short
    with pytest.raises(DataError, match=r"fewer than 9 rows.*quantize\.rows_per_cell to auto, or to"):
        rows_of_cells(examples, "calibration", 9, generator(0, "x"))


def test_calibration_counts_rows_where_people_have_several():
    """Ten rows of a cell are asked for, not ten people."""
    entries = [
        Entry(FilePart(f"{at}.png"), str(at % 2), str(at // 2 % 2), str(at), str(at), identity=f"{at % 4} {at // 12}")
        for at in range(600)
    ]
    labels, groups = indices(entries, ("0", "1"), ("0", "1"))
    rows = split(entries, labels, groups, recipe_of(""), 0)["calibration"]
    assert np.bincount(2 * groups[rows] + labels[rows]).tolist() == [12, 12, 12, 12]


def test_calibration_takes_all_of_a_small_cell_and_says_so(photographs, quiet):
    folder, rows = photographs
    examples = load_examples(recipe_of(write_manifest(folder, rows), calibration_share=0.2), 0, quiet)
    counts = examples.counts("calibration")
    of_cell = examples.groups * 2 + examples.labels
    kept = examples.rows["calibration"]
    fewer = np.concatenate([kept[of_cell[kept] == 0][:2], kept[of_cell[kept] >= 2]])  # a cell of two rows, one of none
    examples = replace(examples, rows={**examples.rows, "calibration": fewer})
    chosen, cells, short = rows_of_cells(examples, "calibration", "auto", generator(0, "x"))
    assert sorted(chosen) == sorted(fewer)
    assert np.bincount(cells).tolist() == [2, *counts[1].tolist()]
    assert len(short) == 4
    assert [text.rpartition(" has ")[2] for text in short][:2] == ["2", "0"]
    unknown = replace(examples, groups=np.full_like(examples.groups, -1))
    with pytest.raises(DataError, match="no calibration row has a known group"):
        rows_of_cells(unknown, "calibration", "auto", generator(0, "x"))


def test_small_cells_give_calibration_more_than_their_share(photographs, quiet):
    folder, rows = photographs
    examples = load_examples(recipe_of(write_manifest(folder, rows)), 0, quiet)  # 20 of a cell, a share of 5 %
    assert (examples.counts("calibration") == 5).all()
    none = load_examples(recipe_of(write_manifest(folder, rows), calibration_share=0.3), 0, quiet)
    assert (none.counts("calibration") >= 5).all()


def fairface(folder, ages=("0-2", "25", "more than 70")):
    for name in ("train", "val"):
        rows = []
        for index in range(36):
            write_image(folder / name / f"{index}.jpg", (index, 5 * index, 0))
            rows.append([f"{name}/{index}.jpg", ages[index % 3], ("Male", "Female")[index // 3 % 2], "White", "TRUE"])
        with open(folder / f"fairface_label_{name}.csv", "w", newline="") as stream:
            csv.writer(stream).writerows([["file", "age", "gender", "race", "service_test"], *rows])
    return folder


def test_fairface_folder(tmp_path, quiet):
    folder = fairface(tmp_path, ("0-2", "20-29", "more than 70"))
    data = {**recognize(str(folder)), "image_size": 8, "calibration_share": 0.2}
    examples = load_examples(parse({"data": data}).data, 0, quiet)
    assert examples.class_names == ("under 20", "20 to 39", "40 and over")
    assert examples.group_names == ("Female", "Male")
    assert {id_.split("/")[0] for id_ in examples.ids[examples.rows["gate"]]} == {"val"}
    assert {id_.split("/")[0] for id_ in examples.ids[examples.rows["train"]]} == {"train"}
    nine = load_examples(parse({"data": {**data, "age_buckets": 9, "group": "race", "max_rows": 20}}).data, 0, quiet)
    assert len(nine.class_names) == 9
    assert len(nine.group_names) == 7
    assert len(nine.ids) == 40


def test_wrong_fairface(tmp_path, quiet):
    folder = fairface(tmp_path)
    data = {"name": "fairface", "path": str(folder), "image_size": 8}
    with pytest.raises(DataError, match=r"fairface_label_train.csv, line 3: class '25' is not declared"):
        load_examples(parse({"data": data}).data, 0, quiet)
    with pytest.raises(RecipeError, match=r"data\.group 'gendre' is no FairFace column; did you mean 'gender'"):
        load_examples(parse({"data": {**data, "group": "gendre"}}).data, 0, quiet)
    with pytest.raises(RecipeError, match="both 'age'"):
        load_examples(parse({"data": {**data, "group": "age"}}).data, 0, quiet)
    (folder / "fairface_label_val.csv").unlink()
    with pytest.raises(DataError, match=r"cannot read .*fairface_label_val\.csv"):
        load_examples(parse({"data": data}).data, 0, quiet)


def test_recognising_data(tmp_path):
    assert recognize("trifeature") == {"name": "trifeature"}
    assert recognize(str(tmp_path / "x.csv"))["name"] == "manifest"
    with pytest.raises(RecipeError, match="did you mean 'trifeature'"):
        recognize("trifeatur")
    with pytest.raises(DataError, match="of no known kind"):
        recognize(str(tmp_path))
    with pytest.raises(RecipeError, match="did you mean 'fairface'"):
        load_examples(parse({"data": {"name": "fareface"}}).data, 0, None)
    with pytest.raises(RecipeError, match=r"needs a path: .*=PATH"):
        load_examples(parse({"data": {"name": "fairface"}}).data, 0, None)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.binary(max_size=300))
def test_no_bytes_crash_the_manifest_reader(tmp_path_factory, content):
    from edgefair.data.readers.csv_manifest import read_manifest

    path = tmp_path_factory.mktemp("manifest") / "m.csv"
    path.write_bytes(content)
    with pytest.raises(DataError):
        read_manifest(path)


def test_decode_is_upright_square_and_rgb(tmp_path):
    image = Image.new("L", (40, 20), 0)
    image.paste(255, (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by 180 degrees
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    array = decode(tmp_path / "a.jpg", 16)
    assert array.shape == (3, 16, 16)
    assert array[:, :, :4].mean() < 60 < 190 < array[:, :, -4:].mean()


def test_a_continuous_attribute_is_read_and_may_be_unknown(photographs, quiet):
    folder, rows = photographs
    told = [[*row, "" if index % 4 == 0 else index / 100] for index, row in enumerate(rows)]
    path = write_manifest(folder, told, ("path", "label", "group", "soft_group"))
    shares = load_examples(recipe_of(path), 0, quiet).soft_groups
    assert np.isnan(shares[::4]).all()
    np.testing.assert_allclose(shares[1::4], np.arange(1, 80, 4) / 100, rtol=1e-6)
    assert load_examples(recipe_of(write_manifest(folder, rows)), 0, quiet).soft_groups is None


@pytest.mark.parametrize("value", ["1.2", "-0.1", "half", "nan"])
def test_a_continuous_attribute_outside_its_range_is_refused(photographs, quiet, value):
    folder, rows = photographs
    path = write_manifest(folder, [[*rows[0], value]], ("path", "label", "group", "soft_group"))
    with pytest.raises(DataError, match=rf"line 2: soft_group '{value}' is no number from 0 to 1"):
        load_examples(recipe_of(path), 0, quiet)
