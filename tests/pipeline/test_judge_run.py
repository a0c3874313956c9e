"""Judging a finished run: each pair is aligned once, each noise floor drawn once, the numbers are the gate's."""

from dataclasses import replace

import numpy as np
import pytest

from edgefair.files import finite
from edgefair.gate import compare
from edgefair.gate.tolerance import tolerance
from edgefair.metrics.comparison import align
from edgefair.metrics.noise_floor import permuted_values
from edgefair.pipeline.judge_run import build_report
from edgefair.pipeline.run_folder import RunFolder
from edgefair.runtimes.artefact import Artefact
from tests.helpers.calls import counted
from tests.helpers.gate_cases import changed, example
from tests.helpers.recipes import tiny
from tests.helpers.run_records import write_latency, write_training_and_export

RECIPE = tiny(gate__replicates=200)
NAMES = {
    "teacher": ("", ""),
    "student": ("teacher", "no_worse"),
    "fp32": ("student", "same"),
    "int8": ("student", "same"),
}
CELLS = {"gate": [[40] * 4] * 2}


@pytest.fixture
def judged(tmp_path, quiet):
    """(report, predictions, counted calls) of a run whose predictions are made up; int8 stands in another order."""
    reference = example(cell_rows=40)
    worse = changed(reference, slice(0, 20), (reference.predicted[:20] + 1) % 4)
    order = np.random.default_rng(0).permutation(len(worse.ids))
    shuffled = {name: getattr(worse, name)[order] for name in ("ids", "labels", "groups", "logits")}
    made = {name: replace(reference, about={"artefact": name, "bytes": 1_000_000}) for name in NAMES}
    made["int8"] = replace(worse, **shuffled, about={"artefact": "int8", "bytes": 9_000_000})
    row = {"p50_ms": 1.0, "p90_ms": 2.0, "p90_upper_ms": 3.0}
    write_latency(tmp_path / "latency" / "latency.json", {name: {"1": row} for name in NAMES})
    write_training_and_export(tmp_path)
    artefacts = [Artefact(name, tmp_path / name, "ort", "fp32", "0" * 64, *of) for name, of in NAMES.items()]
    recipe = RECIPE.model_copy(update={"gate": RECIPE.gate.model_copy(update={"max_size_mb": 5.0})})
    data = {"class_names": list(reference.class_names), "group_names": list(reference.group_names), "cells": CELLS}
    with counted(align, permuted_values) as calls:
        report = build_report(RunFolder(tmp_path, recipe, quiet), artefacts, made, data)
    return report, made, calls


def test_each_judged_artefact_is_aligned_once_and_each_floor_drawn_once(judged):
    report, _, calls = judged
    pairs = sum("verdict" in entry for entry in report["artefacts"])
    assert calls["align"] == pairs == 3
    # For each artefact one set of permutations for the disparities and the gate, and one for the gaps of the classes.
    assert calls["permuted_values"] == 2 * len(NAMES)


def test_the_verdicts_are_those_of_the_gate_alone(judged):
    report, made, _ = judged
    for entry in report["artefacts"][1:]:
        claim = entry["verdict"]["claim"]
        alone = compare(made[entry["reference"]], made[entry["artefact"]], tolerance(RECIPE.gate, claim), claim=claim,
                        seed=RECIPE.seed)  # fmt: skip
        assert entry["verdict"] == alone.to_dict()
        floor = entry["metrics"]["disparities"]["mean_abs_disparity"]["floor"]
        assert 100 * floor == pytest.approx(entry["verdict"]["numbers"]["candidate"]["noise_floor_points"])


def test_a_limit_on_size_holds_for_what_ships_and_decides_the_outcome(judged):
    report, _, _ = judged
    student, fp32, int8 = report["artefacts"][1:]
    assert student["limits"] == []
    assert [(one["limits"][0]["name"], one["limits"][0]["outcome"]) for one in (fp32, int8)] == [
        ("size_mb", "pass"),
        ("size_mb", "fail"),
    ]
    assert int8["outcome"] == report["outcome"] == "fail"
    assert set(finite(int8["limits"][0])) == {"name", "value", "limit", "outcome", "sentence"}
