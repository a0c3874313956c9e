"""Predictions files: what goes in comes out, and what cannot be judged is refused with the reason."""

import contextlib
import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from edgefair.data import Examples
from edgefair.data.gate_rows import GateRows
from edgefair.errors import DataError
from edgefair.pipeline.job import predict_all
from edgefair.predictions import Predictions
from edgefair.runtimes.artefact import Artefact


def make(**changes):
    fields = {
        "ids": np.array(["a", "b", "ü"]),
        "labels": np.array([0, 1, 1]),
        "groups": np.array([0, -1, 1]),
        "logits": np.array([[1, 0], [0, 1], [2, 1]], np.float32),
        "class_names": ("cat", "dog"),
        "group_names": ("in", "out"),
        "about": {"artefact": "x"},
    }
    return Predictions(**{**fields, **changes})


def test_a_file_gives_back_what_was_saved(tmp_path):
    make().save(tmp_path / "p.npz")
    again = Predictions.load(tmp_path / "p.npz")
    assert again.ids.tolist() == ["a", "b", "ü"]
    assert again.predicted.tolist() == [0, 1, 0]
    assert again.class_names == ("cat", "dog")
    assert again.about == {"artefact": "x"}
    np.testing.assert_array_equal(again.logits, make().logits)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"logits": np.array([[1, 0], [np.nan, 1], [2, 1]], np.float32)},
            "logits of 1 of 3 rows are not finite, first id 'b'",
        ),
        ({"ids": np.array(["a", "b", "a"])}, "id 'a' stands in more than one row"),
        ({"labels": np.array([0, 2, 1])}, r"label 2 of id 'b' is outside 0 \.\. 1"),
        ({"groups": np.array([0, -2, 1])}, r"group -2 of id 'b' is outside -1 \.\. 1"),
        ({"labels": np.array([0.0, 1.0, 1.0])}, "integers are needed"),
        ({"labels": np.array([0, 1])}, "'labels' has shape"),
        ({"class_names": ("cat", "dog", "cow")}, "the class names need"),
        ({"class_names": ("cat", "cat")}, "each a text and each once"),
        ({"logits": np.array([[1, 0], [0, 1], [2, 1]])}, "logits are int64; floating point"),
        ({"identities": np.array(["p", "q"])}, "'identities' has shape"),
    ],
)
def test_what_cannot_be_judged_is_refused(changes, words):
    with pytest.raises(DataError, match=words):
        make(**changes)


def test_identities_are_kept_and_files_without_them_still_load(tmp_path):
    make(identities=np.array(["p", "p", ""])).save(tmp_path / "p.npz")
    assert Predictions.load(tmp_path / "p.npz").identities.tolist() == ["p", "p", ""]
    make().save(tmp_path / "old.npz")
    with np.load(tmp_path / "old.npz") as stored:
        assert "identities" not in stored
    assert Predictions.load(tmp_path / "old.npz").identities is None


def test_a_file_cut_off_or_damaged_anywhere_is_refused(tmp_path):
    make().save(tmp_path / "p.npz")
    whole = (tmp_path / "p.npz").read_bytes()
    for length in range(0, len(whole), 7):
        (tmp_path / "cut.npz").write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"cut.npz is not a readable predictions file"):
            Predictions.load(tmp_path / "cut.npz")
    for place in range(0, len(whole), 11):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        (tmp_path / "bad.npz").write_bytes(damaged)
        # A byte that no checksum covers may be harmless; whatever loads must be what was saved.
        with contextlib.suppress(DataError):
            again = Predictions.load(tmp_path / "bad.npz")
            np.testing.assert_array_equal(again.logits, make().logits)
            assert again.ids.tolist() == ["a", "b", "ü"]


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ({"schema": 9}, "predictions schema 9; this version reads 1"),
        ({"class_names": None}, "is not a readable predictions file"),
        ({"class_names": ["cat"]}, "p.npz: predictions: logits have shape"),
        ([], "is not a readable predictions file"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(tmp_path, header, says):
    make().save(tmp_path / "p.npz")
    with np.load(tmp_path / "p.npz") as stored:
        fields = {name: stored[name] for name in stored.files}
    whole = json.loads(str(fields["header"]))
    fields["header"] = np.array(json.dumps({**whole, **header} if header else header))
    np.savez(tmp_path / "p.npz", **fields)
    with pytest.raises(DataError, match=says):
        Predictions.load(tmp_path / "p.npz")


def test_unreadable_files_are_refused(tmp_path):
    make().save(tmp_path / "p.npz")
    whole = (tmp_path / "p.npz").read_bytes()
    (tmp_path / "half.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.npz").write_text("no")
    np.savez(tmp_path / "other.npz", a=np.zeros(2))
    np.savez(tmp_path / "pickle.npz", header=np.array([{"a": 1}], dtype=object))
    for name in ("half", "text", "other", "pickle", "none"):
        with pytest.raises(DataError, match=f"{name}.npz is not a readable predictions file"):
            Predictions.load(tmp_path / f"{name}.npz")


def test_nobody_is_told_to_unpickle_a_file(tmp_path):
    (tmp_path / "table.csv").write_text("path,label,group\na.png,1,2\n")
    for read in (Predictions.load, GateRows.load):
        with pytest.raises(DataError, match="it is no NumPy file") as caught:
            read(tmp_path / "table.csv")
        assert "pickle" not in str(caught.value)


def test_a_run_writes_identities_and_the_hash_of_what_was_seen(tmp_path, quiet):
    images = np.random.default_rng(0).integers(0, 256, (6, 3, 8, 8), dtype=np.uint8)
    lists = {name: np.array([index]) for index, name in enumerate(("train", "meta", "validation", "calibration"))}
    examples = Examples(
        images=images,
        labels=np.array([0, 1, 0, 1, 0, 1]),
        groups=np.array([0, 1, 0, 1, 0, -1]),
        ids=np.array(list("abcdef")),
        class_names=("x", "y"),
        group_names=("g", "h"),
        rows=lists | {"gate": np.array([4, 5])},
        about={},
        identities=np.array(["p", "q", "r", "s", "t", ""]),
    )
    (tmp_path / "null.txt").write_text("2")
    null = Artefact("null", tmp_path / "null.txt", "null", "none", "0" * 64)
    hashes = []
    for name, seen in (("one", examples), ("two", replace(examples, images=255 - images))):
        predict_all([null], seen, tmp_path / name, quiet)
        found = Predictions.load(tmp_path / name / "null.npz")
        assert found.identities.tolist() == ["t", ""]
        hashes.append((found.about["rows_sha256"], found.about["data_sha256"]))
    assert hashes[0][0] == hashes[1][0]  # the same ids
    assert hashes[0][1] != hashes[1][1]  # of other images
    assert hashes[0][1] == hashlib.sha256(images[4:].tobytes()).hexdigest()


def test_six_tables_share_one_base():
    from edgefair.data.overview import Overview
    from edgefair.export.mixed_precision.ranking_rows import RankingRows
    from edgefair.metrics.comparison import Pair
    from edgefair.predictions import LabelledRows

    for table in (Examples, Overview, GateRows, Predictions, Pair, RankingRows):
        assert issubclass(table, LabelledRows)
        own = set(table.__annotations__)
        assert not own & set(LabelledRows.__annotations__), table


def test_shared_counts_and_columns_of_rows():
    made = make()
    known = made.groups >= 0
    counts = made.cell_counts()
    assert counts.sum() == known.sum()
    assert made.rows_without_group == (~known).sum()
    assert counts.shape == (len(made.group_names), len(made.class_names)) == made.shape[::-1]
    for group, label in np.ndindex(counts.shape):
        assert counts[group, label] == ((made.groups == group) & (made.labels == label)).sum()
        assert (made.cell_name(group, label) in made.empty_cells()) == (counts[group, label] == 0)
    first = made.columns(slice(0, 1))
    assert first["ids"].tolist() == made.ids[:1].tolist()
    assert first["class_names"] == tuple(made.class_names)
