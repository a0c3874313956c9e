"""data.skew: training rows of any data set with a chosen correlation of class and group."""

import json
from collections import Counter

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefair.cli import cli
from edgefair.data import SPLITS, load_examples
from edgefair.data.listing import Entry, FilePart
from edgefair.data.skew import own_group, quotas, skewed
from edgefair.errors import DataError
from edgefair.recipe import parse
from tests.data.test_build import recipe_of, write_image, write_manifest

COUNTS = st.lists(st.integers(1, 60), min_size=2, max_size=5)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(COUNTS, st.integers(0, 4), st.floats(0.01, 1))
def test_quotas_are_the_most_rows_of_which_the_own_group_has_its_share(counts, own, skew):
    own %= len(counts)
    drawn = quotas(np.array(counts), own, skew)
    total, others = int(drawn.sum()), np.delete(drawn, own)
    assert (drawn <= counts).all()
    assert abs(drawn[own] - skew * total) <= 0.5
    assert others.max() - others.min() <= 1
    # One row more has no place: by counting anew, the own group or one of the others would need more than there are.
    mine = int(np.floor(skew * (total + 1) + 0.5))
    rest = Counter(i % len(others) for i in range(total + 1 - mine))
    more = [rest[i] > count for i, count in enumerate(np.delete(counts, own).tolist())]
    assert mine > counts[own] or any(more)


def rows_of(cells, people=1):
    """Entries of so many rows of every (group, class) cell, `people` rows of each person, the last ones of no group."""
    entries, labels, groups = [], [], []
    for (group, label), count in np.ndenumerate(cells):
        for row in range(count):
            name = f"{group}-{label}-{row}"
            identity = f"{group}-{label}-{row // people}" if people > 1 else ""
            entries.append(Entry(FilePart(name), str(label), str(group), name, name, "train", identity))
            labels.append(label)
            groups.append(group)
    return entries, np.array(labels), np.array(groups)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    st.integers(2, 4).flatmap(
        lambda n: st.lists(st.lists(st.integers(20, 60), min_size=n, max_size=n), min_size=2, max_size=4)
    ),
    st.floats(0.3, 0.9),
    st.integers(1, 3),
    st.integers(0, 5),
)
def test_the_drawn_rows_have_the_skew_and_people_stay_whole(cells, skew, people, seed):
    cells = np.array(cells)
    entries, labels, groups = rows_of(cells, people)
    names = tuple("abcd"[: cells.shape[1]]), tuple("wxyz"[: cells.shape[0]])
    drawn = skewed(np.arange(len(entries)), entries, labels, groups, names, skew, seed)
    again = skewed(np.arange(len(entries)), entries, labels, groups, names, skew, seed)
    assert drawn.rows.tolist() == again.rows.tolist() == sorted(set(drawn.rows.tolist()))
    assert len(drawn.rows) + sum(map(len, drawn.left_out.values())) == len(entries)
    kept = set(drawn.rows.tolist())
    for label in range(cells.shape[1]):
        wanted = quotas(cells[:, label], label % len(cells), skew)
        counts = np.bincount(groups[drawn.rows][labels[drawn.rows] == label], minlength=len(cells))
        assert (counts <= wanted).all()
        assert (counts > wanted - people).all()  # a whole person may not fit into what is left
    if people > 1:
        inside = {entries[row].identity for row in kept}
        assert inside.isdisjoint(entry.identity for row, entry in enumerate(entries) if row not in kept)


def test_nothing_asked_leaves_all_rows_and_other_seeds_leave_out_others():
    entries, labels, groups = rows_of(np.full((2, 2), 20))
    names = ("a", "b"), ("w", "x")
    everything = np.arange(len(entries))
    assert skewed(everything, entries, labels, groups, names, 0.0, 0).rows is everything
    first, other = (skewed(everything, entries, labels, groups, names, 0.9, seed).rows.tolist() for seed in (0, 1))
    assert first != other
    assert [own_group(label, 2) for label in range(4)] == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("cells", "skew", "words"),
    [
        ([[9, 9], [0, 9]], 0.9, "the cell x/a has no training rows"),
        ([[9, 9], [3, 9]], 0.99, "would leave the cell x/a without training rows: the class has too few .w 9, x 3."),
        ([[9, 9]], 0.9, "declare no groups"),
    ],
)
def test_what_cannot_be_drawn_is_refused_and_the_cell_named(cells, skew, words):
    entries, labels, groups = rows_of(np.array(cells))
    with pytest.raises(DataError, match=words):
        skewed(np.arange(len(entries)), entries, labels, groups, (("a", "b"), ("w", "x")[: len(cells)]), skew, 0)


def test_a_class_of_one_group_alone_needs_none_of_the_others():
    entries, labels, groups = rows_of(np.array([[9, 0], [0, 9]]))
    drawn = skewed(np.arange(18), entries, labels, groups, (("a", "b"), ("w", "x")), 1.0, 0)
    assert len(drawn.rows) == 18


def test_a_manifest_is_skewed_in_training_alone_and_counted(tmp_path, quiet):
    rows = []
    for index in range(320):
        write_image(tmp_path / "images" / f"{index}.png", (index % 256, 90 * (index % 2), 50), (8, 8))
        rows.append([f"images/{index}.png", ["cat", "dog"][index % 2], ["in", "out", "in", "out", ""][index // 2 % 5]])
    path = write_manifest(tmp_path, rows)
    plain = load_examples(recipe_of(path), 0, quiet)
    drawn = load_examples(recipe_of(path, skew=0.9), 0, quiet)
    for name in set(SPLITS) - {"train"}:
        assert (drawn.rows[name] == plain.rows[name]).all()
    assert set(drawn.rows["train"]) < set(plain.rows["train"])
    counts = drawn.counts("train")
    assert np.allclose(counts[[0, 1], [0, 1]] / counts.sum(0), 0.9, atol=0.02)  # cat owns in, dog out
    about = drawn.describe()
    assert about["skew"] == 0.9
    assert about["own_groups"] == {"cat": "in", "dog": "out"}
    left = {why: each["rows"] for why, each in about["left_out"].items()}
    assert sum(left.values()) == len(plain.rows["train"]) - len(drawn.rows["train"])
    assert left["training rows of unknown group, with data.skew 0.9"] == (plain.groups[plain.rows["train"]] < 0).sum()
    wanted = ["--picture", str(tmp_path / "cells.png"), "--json", str(tmp_path / "info.json")]
    result = CliRunner().invoke(cli, ["data", "info", f"manifest={path}", "--set", "skew=0.9", *wanted])
    assert result.exit_code == 0, result.output
    assert "skew 0.9 of the training rows, the class's own group: cat in 9" in result.output
    assert "training rows that data.skew 0.9 leaves no place for" in result.output
    assert json.loads((tmp_path / "info.json").read_text())["cells"]["train"] == counts.tolist()


def test_data_without_groups_of_its_own_takes_no_skew(tmp_path, quiet):
    for index in range(60):
        write_image(tmp_path / ["cat", "dog"][index % 2] / f"{index}.png", (index, 0, 0), (8, 8))
    settings_ = parse({"data": {"name": "imagefolder", "path": str(tmp_path), "image_size": 8, "skew": 0.8}}).data
    with pytest.raises(DataError, match="declare no groups"):
        load_examples(settings_, 0, quiet)
