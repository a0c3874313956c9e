"""Data sets without people, and general formats: digits, ImageNet, birds, folders, Hugging Face, shards, Parquet."""

import io
import json
import shutil
import tarfile

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.io import savemat

from edgefair.cli import cli
from edgefair.data import load_examples, recognize
from edgefair.errors import DataError, RecipeError
from edgefair.preprocess import decode
from edgefair.recipe import parse
from tests.helpers import data_copies as copies
from tests.helpers.data_copies import alter, load


def test_svhn_reads_ten_as_zero(copy_of):
    examples = load(copy_of("svhn"), image_size=32)
    stored = (np.arange(60) % 10 + 1).tolist() * 2
    assert [examples.class_names[label] for label in examples.labels] == [str(label % 10) for label in stored]
    assert examples.ids[examples.rows["gate"]][0].startswith("gate")
    for row in (0, 9, 75):
        assert (examples.images[row][0, :5] == stored[row]).all()
        assert (examples.images[row][:, 9, 9] == copies.colour(row % 60)).all()


WRONG_SVHN = {
    "no y": ({"X": np.zeros((32, 32, 3, 4), np.uint8)}, "has no variable 'y'"),
    "label 0": ({"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.array([[0], [1]])}, "labels run from 0 to 1"),
    "shape": ({"X": np.zeros((4, 32, 32, 3), np.uint8), "y": np.ones((4, 1))}, r"X is uint8 \(4, 32, 32, 3\)"),
}


@pytest.mark.parametrize("case", WRONG_SVHN)
def test_wrong_svhn(tmp_path, case):
    stored, words = WRONG_SVHN[case]
    savemat(tmp_path / "train_32x32.mat", stored)
    with pytest.raises(DataError, match=words):
        load(tmp_path)
    (tmp_path / "train_32x32.mat").write_bytes(b"no matlab")
    with pytest.raises(DataError, match="is no whole MATLAB file"):
        load(tmp_path)
    (tmp_path / "train_32x32.mat").unlink()
    with pytest.raises(DataError, match=r"there is no train_32x32\.mat"):
        load(tmp_path, name="svhn")


def test_tinyimagenet_grey_images_and_names(copy_of):
    folder = copy_of("tinyimagenet")
    examples = load(folder, image_size=64)
    # Two classes that share their first word are told apart.
    assert examples.class_names == ("goldfish (n01443537)", "European fire salamander", "goldfish (n02086240)")
    grey = int(np.flatnonzero(examples.ids == "n01443537_0.JPEG")[0])
    assert (examples.images[grey] == decode(folder / "train/n01443537/images/n01443537_0.JPEG", 64)).all()
    assert (examples.images[grey][0] == examples.images[grey][2]).all()
    assert all(id_.startswith("val_") for id_ in examples.ids[examples.rows["gate"]])


def test_wrong_tinyimagenet(damaged):
    folder = damaged("tinyimagenet")
    alter(folder, "val/val_annotations.txt", "val_3.JPEG\tn01443537", "val_3.JPEG\tn01443538")
    with pytest.raises(DataError, match=r"line 4: 'n01443538' is no class of val_3\.JPEG; did you mean 'n01443537'"):
        load(folder)
    shutil.rmtree(folder / "train/n01629819")
    with pytest.raises(DataError, match="there are no images of n01629819"):
        load(folder)
    (folder / "words.txt").unlink()
    with pytest.raises(DataError, match=r"cannot read .*words\.txt"):
        load(folder)


def test_imagenet_validation_by_the_published_list(damaged):
    folder = damaged("imagenet")
    shutil.copytree(folder / "val/n01443537", folder / "val/n07777777")
    with pytest.raises(DataError, match="no training images of this class"):
        load(folder)
    shutil.rmtree(folder / "val/n07777777")
    lines = ["ImageId,PredictionString"]
    for index, file in enumerate(sorted((folder / "val").rglob("*.JPEG"))):
        name = f"ILSVRC2012_val_{index + 1:08d}"
        lines.append(f"{name},{file.parent.name} 1 2 3 4 ")
        shutil.move(file, folder / "val" / f"{name}.JPEG")
    for empty in (folder / "val").glob("n0*"):
        empty.rmdir()
    with pytest.raises(DataError, match=r"has no folders of classes, and .* no LOC_val_solution\.csv"):
        load(folder)
    copies.write_lines(folder / "LOC_val_solution.csv", lines)
    copies.write_lines(folder / "LOC_synset_mapping.txt", [f"{wnid} {words}" for wnid, words in copies.WNIDS.items()])
    examples = load(folder)
    assert "European fire salamander" in examples.class_names
    assert examples.counts("gate").tolist() == [[12, 12, 12]]
    alter(folder, "LOC_val_solution.csv", "n01443537 1", "n11111111 1")
    with pytest.raises(DataError, match="line 2: there are no training images of class 'n11111111'"):
        load(folder)


def test_waterbirds_codes(copy_of, damaged):
    examples = load(copy_of("waterbirds"))
    number = np.array([int(id_[-8:-4]) for id_ in examples.ids])
    assert (examples.labels == number % 2).all()
    assert (examples.groups == number // 2 % 2).all()
    assert set(number[examples.rows["validation"]] // 4 % 5) == {3}
    folder = damaged("waterbirds")
    alter(folder, "metadata.csv", "0,0,0,/b", "0,7,0,/b")
    with pytest.raises(DataError, match=r"metadata\.csv, line 2: split '7' is not 0 \(train\)"):
        load(folder)
    alter(folder, "metadata.csv", ",place,", ",where,")
    with pytest.raises(DataError, match="no column 'place'"):
        load(folder, name="waterbirds")


def test_imagefolder_with_groups(copy_of, damaged):
    examples = load(copy_of("imagefolder"), group="folder")
    assert examples.group_names == ("in", "out")
    assert examples.ids[examples.rows["gate"]][0] == "test/cat/in/img0.png"
    with pytest.raises(RecipeError, match="'colour': the groups of an imagefolder are the folders"):
        load(copy_of("imagefolder"), group="colour")
    folder = damaged("imagefolder")
    (folder / "train/dog/out").rename(folder / "train/dog/unknown")
    assert (load(folder, group="folder").groups < 0).sum() == 4
    copies.write_image(folder / "train/cat/bare.jpg", 1)
    with pytest.raises(DataError, match=r"train/cat/bare\.jpg lies in no folder of a class and a group"):
        load(folder, group="folder")


def test_hugging_face_columns(copy_of):
    folder = copy_of("huggingface")
    assert recognize(f"hf:{folder}") == recognize(str(folder)) == {"name": "hf", "path": str(folder)}
    examples = load(folder, group="gender")
    assert examples.class_names == ("young", "middle", "old")
    assert examples.group_names == ("f", "m")
    number = np.array([int(id_.split("-")[1]) for id_ in examples.ids])
    assert (examples.labels == number % 3).all()
    assert (examples.groups == np.where(number % 10 == 0, -1, number // 3 % 2)).all()
    assert (examples.images[:, :, 4, 4] == np.array([copies.colour(n) for n in number])).all()
    assert load(folder).group_names == ("all",)
    with pytest.raises(RecipeError, match="no column 'gendre'; did you mean 'gender'"):
        load(folder, group="gendre")
    with pytest.raises(DataError, match=r"cannot open the data set .*HF_HOME"):
        load(folder / "none", name="hf")


def test_webdataset_holds_what_the_library_reads(copy_of):
    from webdataset.tariterators import group_by_keys, tar_file_expander

    folder = copy_of("webdataset")
    examples = load(folder, group="gender+race", image_size=10)
    assert examples.class_names == ("0", "1", "2")
    assert examples.group_names == ("f+r", "m+r")
    seen = 0
    for shard in sorted(folder.glob("*.tar")):
        with open(shard, "rb") as stream:
            for sample in group_by_keys(tar_file_expander([{"url": str(shard), "stream": stream}])):
                row = int(np.flatnonzero(examples.ids == f"{shard.name}/{sample['__key__']}")[0])
                about = json.loads(sample["json"])
                group = "" if about["race"] is None else f"{about['gender']}+r"
                assert examples.labels[row] == int(sample["cls"])
                assert group == ("" if examples.groups[row] < 0 else examples.group_names[examples.groups[row]])
                assert (examples.images[row] == decode(io.BytesIO(sample["png"]), 10)).all()
                assert (row in examples.rows["gate"]) == shard.name.startswith("test")
                seen += 1
    assert seen == len(examples.ids)


def test_wrong_shards(damaged):
    folder = damaged("webdataset")
    shard = folder / "train-000001.tar"
    with pytest.raises(RecipeError, match="sample 000000: has no 'class'; did you mean 'cls'"):
        load(folder, task="class")
    with pytest.raises(RecipeError, match=r"data\.group 'gander' is in no sample of .*did you mean 'gender'"):
        load(folder, group="gander")
    with tarfile.open(shard, "w") as archive:
        archive.add(__file__, "000.py")
    assert "sample without an image" in load(folder).about["left_out"]
    shard.write_bytes((folder / "train-000000.tar").read_bytes()[:3000])
    with pytest.raises(DataError, match=r"train-000001\.tar is no whole, plain tar file"):
        load(folder)


def test_a_manifest_in_parquet_is_the_same(tmp_path):
    made = {suffix: tmp_path / suffix for suffix in ("csv", "parquet")}
    for suffix, folder in made.items():
        folder.mkdir()
        copies.manifest(folder, suffix=suffix)
    csv, parquet = (load(folder, group="group+race") for folder in made.values())
    assert csv.group_names == parquet.group_names == ("f+a", "f+b", "m+a", "m+b")
    assert (csv.groups == parquet.groups).all()
    assert (csv.groups < 0).sum() == 24
    assert (csv.images == parquet.images).all()
    (made["parquet"] / "manifest.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match="is no Parquet file"):
        load(made["parquet"])


MAIN_JOB = {  # what only chooses task and protected attribute, where the default is not what is tested
    "celeba": ("--task", "Smiling", "--group", "Male"),
    "utkface": (),
    "wider": (),
    "svhn": (),
    "tinyimagenet": (),
    "imagenet": (),
    "waterbirds": (),
    "imagefolder": ("--group", "folder"),
    "manifest": (),
    "webdataset": ("--group", "gender"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MAIN_JOB)
def test_the_main_job_on_published_layouts(copy_of, tmp_path, name):
    """No flag about the data but the two; the others make the work small."""
    small = {
        "data.image_size": 16, "teacher.spec": "cifar:resnet8", "teacher.epochs": 0,
        "train.epochs": 1, "bench.repeats": 20, "bench.batches": "[1]", "bench.warmup": 2,
        "gate.replicates": 200,
    }  # fmt: skip
    changes = [word for field, value in small.items() for word in ("--set", f"{field}={value}")]
    command = ["distill-and-export", "--data", str(copy_of(name)), *MAIN_JOB[name]]
    wanted = ["--target", "ort-cpu", "--precision", "int8", "--out", str(tmp_path / "run")]
    result = CliRunner().invoke(cli, [*command, *wanted, *changes])
    assert result.exit_code in (1, 3), result.output  # too few rows to pass
    report = json.loads((tmp_path / "run/report.json").read_text())
    assert report["data"]["name"] == name
    assert report["data"]["terms"]
    if name == "celeba":
        assert report["data"]["class_names"] == ["not Smiling", "Smiling"]


def test_unknown_names_of_data_sets(tmp_path):
    with pytest.raises(RecipeError, match="did you mean 'waterbirds'"):
        recognize("waterbird")
    with pytest.raises(DataError, match="there is no file or folder"):
        recognize(f"celeba={tmp_path / 'none'}")
    for name, field in (("trifeature", "group"), ("trifeature", "task"), ("svhn", "group"), ("cifar10s", "group")):
        path = {} if name == "trifeature" else {"path": str(tmp_path)}
        with pytest.raises(RecipeError, match=rf"data\.{field} 'banana': {name} has no such attribute"):
            load_examples(parse({"data": {"name": name, **path, field: "banana"}}).data, 0, None)
    for name in ("celeba", "svhn", "imagenet", "imagefolder", "webdataset"):
        with pytest.raises(DataError):
            load_examples(parse({"data": {"name": name, "path": str(tmp_path)}}).data, 0, None)
