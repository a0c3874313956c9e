"""Predictions of parts of the gate rows, merged: the file of the whole, or a sentence that says why not."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgefair.cli.predict import part_of
from edgefair.data.gate_rows import GateRows, pixels_sha256
from edgefair.errors import DataError
from edgefair.files import digest
from edgefair.log import Log
from edgefair.metrics import confusion
from edgefair.pipeline.merge import merge
from edgefair.pipeline.references import reference_source
from edgefair.predictions import Predictions
from edgefair.runtimes import load_runtime
from edgefair.runtimes.artefact import Artefact
from edgefair.runtimes.predict import predict
from tests.helpers.command_line import run
from tests.helpers.toy_run import toy_onnx

ROWS = 150


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Gate rows made by hand, an ONNX file with its runtime, and predictions of all rows."""
    folder, rng = tmp_path_factory.mktemp("gate"), np.random.default_rng(0)
    images, ids = rng.integers(0, 256, (ROWS, 3, 32, 32), dtype=np.uint8), np.array([f"row {n}" for n in range(ROWS)])
    gate = GateRows(
        images=images,
        rows=np.arange(ROWS),
        ids=ids,
        labels=rng.integers(0, 10, ROWS),
        groups=rng.integers(-1, 2, ROWS),
        identities=np.array([f"person {n % 40}" for n in range(ROWS)]),
        class_names=tuple("abcdefghij"),
        group_names=("f", "m"),
        rows_sha256=digest(ids.tolist()),
        data_sha256=pixels_sha256(images, np.arange(ROWS)),
    )
    gate.save(folder / "gate.npz")
    artefact = Artefact("toy", toy_onnx(folder / "toy.onnx"), "ort", "fp32", "0" * 64)
    with load_runtime("ort", artefact.path) as runtime:

        def rows(part=None):
            return predict(artefact, gate, Log(quiet=True), runtime=runtime, part=part)

        yield folder, rows, rows()


def saved(folder, parts):
    """The files of some predictions."""
    for number, part in enumerate(parts):
        part.save(folder / f"part{number}.npz")
    return [folder / f"part{number}.npz" for number in range(len(parts))]


def changed(predictions, **about):
    return replace_about(predictions, predictions.about | about)


def replace_about(one, about):
    columns = one.columns()
    return Predictions(**columns, logits=one.logits, about=about)


def assert_same(one, other):
    for name in ("ids", "labels", "groups", "logits", "identities"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.about == other.about
    assert (one.class_names, one.group_names) == (other.class_names, other.group_names)


@given(st.lists(st.integers(1, ROWS - 1), max_size=4, unique=True), st.randoms())
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_parts_cut_anywhere_and_given_in_any_order_are_the_whole(made, tmp_path, cuts, random):
    _, rows, whole = made
    ends = [0, *sorted(cuts), ROWS]
    parts = [rows((first, end)) for first, end in pairwise(ends)]
    files = saved(tmp_path, parts)
    random.shuffle(files)
    merged = merge(files)
    assert_same(merged, whole)
    tables = [confusion(one.labels, one.predicted, one.groups, *whole.shape) for one in (*parts, whole)]
    np.testing.assert_array_equal(sum(tables[:-1]), tables[-1])


def test_the_commands_write_the_file_of_the_whole_and_a_part_is_judged_by_nobody(made, tmp_path, capsys):
    folder, _, whole = made
    command = ["predict", str(folder / "toy.onnx"), "--runtime", "ort", "--gate", str(folder / "gate.npz")]
    for name, part in (("a", "0:70"), ("b", "70:"), ("all", None)):
        limits = ["--rows", part] if part else []
        code, text = run(capsys, *command, "--out", str(tmp_path / f"{name}.npz"), *limits)
        assert code in (0, None), text
    code, text = run(
        capsys, "merge", str(tmp_path / "b.npz"), str(tmp_path / "a.npz"), "--out", str(tmp_path / "m.npz")
    )
    assert (code in (0, None), text) == (True, f"{tmp_path / 'm.npz'}: 150 rows from 2 parts\n")
    assert_same(Predictions.load(tmp_path / "m.npz"), Predictions.load(tmp_path / "all.npz"))
    np.testing.assert_array_equal(Predictions.load(tmp_path / "m.npz").logits, whole.logits)
    with pytest.raises(DataError, match=r"a\.npz holds rows 0:70 of 150\. Put all parts together first"):
        reference_source(str(tmp_path / "a.npz"))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([(0, 70), (60, 150)], r"rows 60:70 stand in both .*part0.npz and .*part1.npz"),
        ([(0, 150), (20, 40)], r"rows 20:40 stand in both"),
        ([(0, 70), (80, 150)], r"rows 70:80 of 150 are in none of the 2 parts.* --rows 70:80"),
        ([(10, 70), (70, 140)], r"rows 0:10, 140:150 of 150 are in none"),
    ],
)
def test_overlaps_and_gaps_are_named(made, tmp_path, parts, message):
    with pytest.raises(DataError, match=message):
        merge(saved(tmp_path, [made[1](part) for part in parts]))


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"sha256": "1" * 64}, r"they differ:\n  sha256: \w+ there, 1+ here"),
        ({"runtime": "openvino"}, r"runtime: onnxruntime there, openvino here"),
        ({"machine": {"processor": "another"}}, r"machine.processor: .* there, another here"),
    ],
)
def test_parts_of_other_files_runtimes_and_machines_are_refused(made, tmp_path, about, message):
    _, rows, _ = made
    with pytest.raises(DataError, match=message):
        merge(saved(tmp_path, [rows((0, 70)), changed(rows((70, 150)), **about)]))


def test_parts_of_other_data_and_whole_files_are_refused(made, tmp_path):
    _, rows, whole = made
    first, second = rows((0, 70)), rows((70, 150))
    other = changed(second, part=second.about["part"] | {"data_sha256": "1" * 64})
    with pytest.raises(DataError, match=r"gate.data_sha256: \w+ there, 1+ here"):
        merge(saved(tmp_path, [first, other]))
    with pytest.raises(DataError, match=r"part0.npz holds all rows of its gate"):
        merge(saved(tmp_path, [whole]))
    swapped = replace(second, ids=second.ids[::-1])
    with pytest.raises(DataError, match="the ids of the parts are not those of the gate rows"):
        merge(saved(tmp_path, [first, swapped]))


@given(st.integers(0, 120), st.integers(0, 120))
def test_a_part_is_what_a_slice_of_the_rows_is(first, end):
    if first < min(end, 100):
        assert range(100)[slice(*part_of(f"{first}:{end}", 100))] == range(100)[first:end]
        assert range(100)[slice(*part_of(f"{first}:", 100))] == range(100)[first:]
    else:
        with pytest.raises(DataError, match=f"--rows {first}:{end}: there is no such row; the gate has rows 0:100"):
            part_of(f"{first}:{end}", 100)


@given(st.text("0123456789:- x²", max_size=7))
def test_no_text_is_more_than_a_range_inside_the_rows_or_a_plain_sentence(text):
    try:
        first, end = part_of(text, 100)
    except DataError as error:
        assert f"{text}" in f"{error}"  # noqa: PT017
    else:
        assert 0 <= first < end <= 100
