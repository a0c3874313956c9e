"""Which operators go back to float: found where they are planted, as few as will do, by validation rows alone."""

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, numpy_helper

from edgefair.export.mixed_precision.cost import latency_costs, size_costs
from edgefair.export.mixed_precision.ranking_rows import RankingRows, margin
from edgefair.export.mixed_precision.search import choose, meets_tolerances, violated_checks
from edgefair.export.mixed_precision.sensitivity import Sensitivity, order, sensitivities
from edgefair.export.mixed_precision.simulate import Variants, run
from edgefair.export.mixed_precision.units import nodes_of, owners, units
from edgefair.export.quantization import quantize
from edgefair.export.quantization.calibration import calibrate
from edgefair.gate import Tolerance
from edgefair.recipe import QuantizeSettings
from tests.helpers.mixed_precision_data import FEW, MANY, planted_rows, write_planted

RECIPE = QuantizeSettings(method="minmax", keep_float="none")
DIALECTS = ("ort-cpu", "tensorrt")


@pytest.fixture(params=DIALECTS)
def planted(request, tmp_path):
    """(variants, units, rows) of the planted network in a dialect."""
    path = tmp_path / "planted.onnx"
    write_planted(path)
    rows = planted_rows(lambda images: run(str(path), images, optimised=True))
    ranges = calibrate(path, rows.images, RECIPE, 50)
    return Variants(path, request.param, RECIPE, ranges), units(path, request.param, RECIPE), rows


def ranked(planted):
    variants, found, rows = planted
    return sensitivities(lambda nodes: variants.logits(nodes, rows.images), found, rows)


def test_the_worst_group_ranks_what_the_mean_does_not_see(planted):
    before, found = ranked(planted)
    same = dict.fromkeys(planted[1], 1.0)
    assert order(before, found, "worst-group", same)[0] == FEW
    assert order(before, found, "mean", same)[0] == MANY
    errors = {one.unit: one.errors for one in found}
    assert errors[FEW][1] < 0.05 * before.errors[1]  # in float, its group is whole again
    assert errors[FEW][0] == pytest.approx(before.errors[0], rel=0.2)  # and the other is as it was
    assert before.mean == pytest.approx(0.9 * before.errors[0] + 0.1 * before.errors[1])


def test_margin_errors_are_those_of_the_written_formula(planted):
    variants, found, rows = planted
    logits = variants.logits(set(nodes_of(found, found)), rows.images)
    one = [logits[i, y] - logits[i, 1 - y] for i, y in enumerate(rows.labels)]
    assert margin(logits, rows.labels) == pytest.approx(one)
    reference = [rows.reference[i, y] - rows.reference[i, 1 - y] for i, y in enumerate(rows.labels)]
    expected = [np.mean([(one[i] - reference[i]) ** 2 for i in np.flatnonzero(rows.groups == g)]) for g in (0, 1)]
    assert ranked(planted)[0].errors == pytest.approx(expected)


def test_groups_without_rows_are_undefined_and_do_not_rank():
    rows = RankingRows(
        images=np.zeros(3, int),
        labels=np.zeros(3, int),
        groups=np.array([0, 0, -1]),
        ids=np.arange(3).astype(str),
        class_names=("a",),
        group_names=("x", "y"),
        reference=np.zeros((3, 1)),
    )
    found = rows.by_group(np.array([1.0, 3.0, 9.0]))
    assert found[0] == 2
    assert np.isnan(found[1])
    assert Sensitivity("", tuple(found.tolist()), 0.0).error("worst-group") == 2
    assert Sensitivity("", (2.0, None), 0.0).error("worst-group") == 2  # as JSON gives it back


def test_the_search_ends_with_the_planted_operators_and_what_ships_computes_the_same(planted, tmp_path):
    variants, found, rows = planted
    every = set(nodes_of(found, found))
    logits = lambda kept: variants.logits(every - set(nodes_of(found, kept)), rows.images)  # noqa: E731
    strict = Tolerance(worst_group_drop_points=1, accuracy_drop_points=1, flip_rate_percent=2, mean_drift_points=1)
    assert {check.name for check in violated_checks(rows, logits(()), strict)} >= {"accuracy_drop", "worst_group_drop"}
    before, ranking = ranked(planted)
    costs = size_costs(variants, found)
    choice = choose(
        order(before, ranking, "worst-group", costs), costs, lambda kept: meets_tolerances(rows, logits(kept), strict)
    )
    assert choice.holds
    assert set(choice.kept) == {FEW, MANY}
    path = tmp_path / "chosen.onnx"
    quantize(
        variants.source, path, rows.images, variants.dialect, RECIPE, 50, nodes_of(found, choice.kept), variants.ranges
    )
    shipped = run(str(path), rows.images, optimised=variants.dialect == "ort-cpu")
    assert np.array_equal(shipped, logits(choice.kept))


@pytest.mark.parametrize("instructions", [[], ["avx512_vnni"]])
@pytest.mark.parametrize("dialect", [*DIALECTS, "openvino"])
def test_what_is_tried_has_the_weights_of_what_ships_on_any_processor(tmp_path, monkeypatch, dialect, instructions):
    monkeypatch.setattr("edgefair.export.quantization.describe_machine", lambda: {"instructions": instructions})
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    source, shipped = tmp_path / "planted.onnx", tmp_path / "shipped.onnx"
    write_planted(source)
    rows = planted_rows(lambda images: run(str(source), images, optimised=True))
    tried = Variants(source, dialect, RECIPE, calibrate(source, rows.images, RECIPE, 50))
    quantize(source, shipped, rows.images, dialect, RECIPE, 50, [FEW], tried.ranges)
    stored = [weights(onnx.load_from_string(tried.model({MANY, "safe"}))), weights(onnx.load(shipped))]
    assert stored[0] == stored[1]
    small = dialect != "tensorrt" and not instructions
    assert max(max(abs(value) for value in tensor) for tensor in stored[0]) == (64 if small else 127)


def weights(model) -> list[list[int]]:
    """The eight-bit weights of a file."""
    found = [
        numpy_helper.to_array(tensor) for tensor in model.graph.initializer if tensor.data_type == TensorProto.INT8
    ]
    return sorted(tensor.ravel().tolist() for tensor in found if tensor.ndim == 4)


def test_any_subset_put_together_anew_is_what_the_quantiser_writes(planted):
    variants, found, rows = planted
    for kept in ((), (FEW,), (MANY, "safe"), tuple(found)):
        names = set(nodes_of(found, found)) - set(nodes_of(found, kept))
        written = variants.written(names) if names else None
        expected = run(written.SerializeToString(), rows.images, True) if written else rows.reference
        assert np.array_equal(run(variants.model(names), rows.images, True), expected)


def test_undefined_or_collapsed_is_not_held():
    rng = np.random.default_rng(0)
    labels, groups = np.repeat([0, 1], 50), np.tile([0, 1], 50)
    reference = rng.normal(size=(100, 2)) + 3 * np.eye(2)[labels]
    rows = RankingRows(
        images=None,
        labels=labels,
        groups=groups,
        ids=np.arange(100).astype(str),
        class_names=("a", "b"),
        group_names=("x", "y"),
        reference=reference,
    )
    loose = Tolerance(100, None, None, 100, 100, None)
    assert meets_tolerances(rows, reference, loose)
    constant = np.tile([1.0, 0.0], (100, 1))
    assert [check.name for check in violated_checks(rows, constant, loose)] == ["collapse"]
    assert meets_tolerances(rows, reference, Tolerance(0, None, None, 0, 0, 0))


def test_ties_in_cost_go_to_what_repairs_and_cheap_operators_that_repair_nothing_come_last():
    before = Sensitivity("", (1.0, 4.0), 2.5)
    found = [Sensitivity("dear", (1, 1), 1), Sensitivity("cheap", (1, 2), 1.5), Sensitivity("idle", (1, 3.99), 2.49)]
    costs = {"dear": 10.0, "cheap": 1.0, "idle": 0.001}
    assert order(before, found, "worst-group", costs) == ["cheap", "dear", "idle"]
    assert order(before, found, "mean", {**costs, "dear": 1.0}) == ["dear", "cheap", "idle"]
    worse = [*found, Sensitivity("worse", (1, 5), 3)]
    assert order(before, worse, "worst-group", {**costs, "worse": 1e-9})[-1] == "worse"


def test_the_search_stops_at_the_first_set_that_holds_and_gives_back_the_rest():
    costs = {"a": 1.0, "b": 5.0, "c": 2.0, "d": 1.0}
    asked = []

    def holds(kept):
        asked.append(kept)
        return "c" in kept

    choice = choose(["a", "b", "c", "d"], costs, holds)
    assert choice.kept == ("c",)
    assert choice.reverted == ("b", "a")  # the most expensive first
    assert choice.tried == len(asked)
    assert asked == [(), ("a",), ("a", "b"), ("a", "b", "c", "d"), ("a", "b", "c"), ("a", "c"), ("c",)]
    assert choose(["a", "b"], costs, lambda kept: True).kept == ()
    failed = choose(["a", "b", "c"], costs, holds, most=2)
    assert (failed.holds, failed.kept) == (False, ("a", "b"))


@given(needed=st.sets(st.sampled_from("abcdefgh")), names=st.permutations("abcdefgh"))
def test_what_is_kept_is_what_is_needed_whatever_the_order(needed, names):
    choice = choose(names, dict.fromkeys(names, 1.0), lambda kept: needed <= set(kept))
    assert choice.holds
    assert set(choice.kept) == needed


def test_costs_are_bytes_of_the_weights_and_milliseconds_of_the_kernels(planted):
    variants, found, rows = planted
    size = size_costs(variants, found)
    assert size["safe"] == 3 * 6
    assert size[MANY] == 3 * 9
    time = latency_costs(variants, found, rows.images[:1])
    assert set(time) == set(found)
    assert all(value > 0 for value in time.values())


def test_what_follows_a_convolution_belongs_to_it(tmp_path):
    write_planted(tmp_path / "planted.onnx")
    owner = owners(tmp_path / "planted.onnx")
    assert owner["logits"] == owner["mean"] == "safe"
    assert owner["a"] == MANY
    assert owner["scaling"] not in (MANY, FEW, "safe")
