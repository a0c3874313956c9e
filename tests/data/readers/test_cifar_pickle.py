"""The author's pickles: read as they are, never executed, and every way in which a copy can be broken."""

import contextlib
import os
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefair.data import recognize
from edgefair.data.readers.cifar_pickle import read_pickle, read_pictures
from edgefair.errors import DataError, RecipeError
from tests.helpers import cifar_copies as copies


@pytest.fixture
def ten(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    return folder, *copies.write_cifar10(folder, per_class=5, test_per_class=2)


def test_cifar10_is_read_in_the_files_order(ten):
    folder, rows, labels = ten
    for path in (folder, folder.parent):
        read = read_pictures(path, "cifar10")
        assert (read.images.reshape(len(rows), -1) == rows).all()
        assert (read.labels == labels).all()
        assert read.num_train == 50
        assert read.class_names[3] == "cat"


@pytest.mark.parametrize(("label_set", "every", "name"), [("fine", 1, "fine 7"), ("coarse", 5, "coarse 7")])
def test_cifar100_has_two_sets_of_labels(tmp_path, label_set, every, name):
    rows, labels = copies.write_cifar100(tmp_path / "cifar-100-python")
    read = read_pictures(tmp_path, "cifar100", label_set)
    assert (read.images.reshape(len(rows), -1) == rows).all()
    assert (read.labels == labels // every).all()
    assert read.class_names[7] == name
    assert len(read.class_names) == 100 // every


@pytest.mark.parametrize("protocol", [2, 4])
def test_copies_that_python_3_wrote_are_read_too(ten, protocol):
    folder, rows, labels = ten
    again = {"data": rows[:10], b"labels": labels[:10].tolist(), "batch_label": b"one of five"}
    (folder / "data_batch_1").write_bytes(pickle.dumps(again, protocol=protocol))
    assert (read_pictures(folder, "cifar10").labels == labels).all()


ROWS = np.zeros((2, 3072), np.uint8)
GOOD = {"data": copies.array(ROWS), "labels": copies.listed([copies.number(1)] * 2)}
WRONG = {
    "short rows": ({"data": copies.array(ROWS[:, :-1])}, r"data_batch_2: 'data' has shape \(2, 3071\).*3072 bytes"),
    "no array": ({"data": copies.number(3)}, "'data' has int; rows of 3072"),
    "label out of range": (
        {"labels": copies.listed([copies.number(1), copies.number(10)])},
        r"data_batch_2: label 10 of image 1 is not one of 0 \.\. 9",
    ),
    "label of another type": ({"labels": copies.listed([copies.number(1), copies.text("1")])}, "label b'1' of image 1"),
    "too few labels": ({"labels": copies.listed([copies.number(1)])}, "'labels' has 1 entries; a list of 2"),
    "no list": ({"labels": copies.text("none")}, "'labels' has bytes; a list of 2"),
    "another type": (
        {"data": copies.array(ROWS).replace(b"U\x02u1", b"U\x02f8")},
        "holds an array of type 'f8'; images are bytes",
    ),
    "objects": ({"data": copies.array(ROWS).replace(b"U\x02u1", b"U\x01O")}, "holds an array of type 'O'"),
    "another shape": (
        {"data": copies.array(ROWS).replace(copies.number(3072), copies.number(3073))},
        "is no whole pickle.*reshape",
    ),
    "foreign global": ({"data": b"cos\nsystem\n(U\x08exit 123tR"}, r"data_batch_2 calls for 'os\.system'.*not run"),
    "other NumPy global": ({"data": b"cnumpy\nload\n(U\x01xtR"}, r"calls for 'numpy\.load'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_batches_say_what_is_wrong(ten, case):
    changes, words = WRONG[case]
    (ten[0] / "data_batch_2").write_bytes(copies.batch({**GOOD, **changes}))
    with pytest.raises(DataError, match=words):
        read_pictures(ten[0], "cifar10")


def test_missing_and_truncated_files(ten):
    folder = ten[0]
    whole = (folder / "data_batch_4").read_bytes()
    (folder / "data_batch_4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        DataError, match=r"data_batch_4 is no whole pickle \(UnpicklingError: pickle data was truncated"
    ):
        read_pictures(folder, "cifar10")
    (folder / "data_batch_4").write_bytes(copies.listed([]) + b".")
    with pytest.raises(DataError, match="holds a list; a batch is a dictionary"):
        read_pictures(folder, "cifar10")
    (folder / "data_batch_4").write_bytes(copies.batch({"label_names": copies.listed([])}))
    with pytest.raises(DataError, match="has no 'data'; it holds label_names"):
        read_pictures(folder, "cifar10")
    (folder / "data_batch_4").unlink()
    with pytest.raises(DataError, match=r"cannot read .*data_batch_4: No such file"):
        read_pictures(folder, "cifar10")
    (folder / "test_batch").unlink()
    with pytest.raises(DataError, match=r"no cifar10 in .*cifar-10-batches-py in it holds data_batch_1 and test_batch"):
        read_pictures(folder, "cifar10")


def test_class_names_must_be_different(tmp_path):
    folder = tmp_path / "cifar-100-python"
    copies.write_cifar100(folder)
    (folder / "meta").write_bytes(copies.batch({"fine_label_names": copies.listed([copies.text("a")] * 2)}))
    with pytest.raises(DataError, match="meta: 'fine_label_names' is no list of different names"):
        read_pictures(folder, "cifar100")


class Evil:
    def __reduce__(self):
        return (os.mkdir, ("executed",))


@pytest.mark.parametrize("protocol", range(6))
def test_nothing_executes_by_being_opened(tmp_path, monkeypatch, protocol):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "batch").write_bytes(pickle.dumps({"data": Evil()}, protocol=protocol))
    with pytest.raises(DataError, match=r"calls for '\w+\.mkdir'"):
        read_pickle(tmp_path / "batch")
    assert not (tmp_path / "executed").exists()
    pickle.loads((tmp_path / "batch").read_bytes())  # a plain reader would have run it
    assert (tmp_path / "executed").exists()


@settings(derandomize=True, deadline=None, max_examples=150)
@given(place=st.integers(0, 400), value=st.integers(0, 255), cut=st.integers(0, 400))
def test_no_changed_byte_crashes_the_reader(tmp_path_factory, place, value, cut):
    content = bytearray(copies.batch({**GOOD, "data": copies.array(ROWS[:1, :64])}))
    content[place % len(content)] = value
    path = tmp_path_factory.mktemp("batch") / "data_batch_1"
    path.write_bytes(content[: len(content) - cut % 20])
    with contextlib.suppress(DataError):
        assert isinstance(read_pickle(path), dict)


def test_folders_are_recognised_and_names_can_be_given(ten, tmp_path):
    folder = str(ten[0])
    assert recognize(folder) == {"name": "cifar10", "path": folder}
    assert recognize(str(tmp_path)) == {"name": "cifar10", "path": str(tmp_path)}
    assert recognize(f"cifar10s={folder}") == {"name": "cifar10s", "path": folder}
    assert recognize(f"cifar10s-mfd={tmp_path}")["name"] == "cifar10s-mfd"
    copies.write_cifar100(tmp_path / "cifar-100-python")
    assert recognize(str(tmp_path / "cifar-100-python"))["name"] == "cifar100"
    with pytest.raises(DataError, match=r"holds cifar10 and cifar100; say which: cifar10="):
        recognize(str(tmp_path))
    assert recognize(f"cifar100={tmp_path}")["name"] == "cifar100"
    (tmp_path / "manifest.csv").write_text("path,label,group\n")
    assert recognize(f"manifest={tmp_path}") == {"name": "manifest", "path": str(tmp_path)}


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        ("cifar10s=/none/there", DataError, "no file or folder '/none/there'"),
        ("cifar10s=", DataError, "no file or folder ''"),
        ("cifer10s=.", RecipeError, "'cifer10s' is no data set on disk; did you mean 'cifar10s'"),
        ("trifeature=.", RecipeError, "'trifeature' is made on the spot and takes no path"),
    ],
)
def test_wrong_names_and_paths(value, error, words):
    with pytest.raises(error, match=words):
        recognize(value)


def test_a_path_may_hold_an_equals_sign(tmp_path):
    file = tmp_path / "a=b.csv"
    file.write_text("path,label,group\n")
    assert recognize(str(file)) == {"name": "manifest", "path": str(file)}
    assert recognize(f"manifest={file}") == {"name": "manifest", "path": str(file)}
