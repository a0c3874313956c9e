"""A folder with every record that is read back, in which nothing was trained, and what reads each of them."""

import contextlib
import os
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from PIL import Image

from edgefair import __version__
from edgefair.data import load_examples
from edgefair.data.cache.build import prepared
from edgefair.data.gate_rows import GateRows
from edgefair.data.listing import Entry, FilePart
from edgefair.data.records import DataRecord
from edgefair.errors import DataError
from edgefair.export.mixed_precision.records import Ranking
from edgefair.files import finite, read_values, sha256, write_record
from edgefair.gate import judge_artefact
from edgefair.log import Log
from edgefair.metrics.comparison import align
from edgefair.metrics.evaluate import evaluate_with_floor
from edgefair.metrics.fairness_claim import fairness_claim
from edgefair.metrics.flips import differences
from edgefair.pipeline.bench.inputs import bench_artefacts
from edgefair.pipeline.device import kit
from edgefair.pipeline.device.build import build
from edgefair.pipeline.frontier.build import build_frontier
from edgefair.pipeline.judge_run import build_report
from edgefair.pipeline.quantize.records import VariantsReport
from edgefair.pipeline.quantize.request import chosen_target, finished_recipe
from edgefair.pipeline.records import Stage
from edgefair.pipeline.references import reference_source, single_source
from edgefair.pipeline.run_artefacts import artefact_list
from edgefair.pipeline.run_folder import AGAIN, RunFolder, run_recipe
from edgefair.pipeline.summarize import class_bias, compare_runs, load_runs, summarize_runs
from edgefair.pipeline.verify import verify
from edgefair.predictions import Predictions
from edgefair.report.frontier.page import render_frontier
from edgefair.report.frontier.tables import csv_tables, latex_tables
from edgefair.report.records import Report
from edgefair.report.terminal.quantize import print_trade
from edgefair.report.terminal.tables import plain_console
from edgefair.report.training_curves import training_charts
from edgefair.runtimes import load_runtime
from edgefair.runtimes.predict import artefact_from_file, predict
from edgefair.testing import Inconclusive
from edgefair.testing.baseline import Baseline
from tests.helpers.gate_cases import example
from tests.helpers.report_data import make_report
from tests.helpers.run_records import write_latency, write_quantized, write_training_and_export, write_tuning
from tests.helpers.toy_run import RECIPE, make_run

QUIET = Log(quiet=True)
NAMES = ("teacher", "student", "ort-cpu-fp32", "ort-cpu-int8", "null")
STAGES = ("data", "teacher", "student", "artefacts", "predictions", "latency")


def make_place(place: Path) -> Path:
    """A run folder with every record, a device kit of it, two reports, a baseline, and the cache of a few images."""
    run = place / "run"
    make_run(run)
    examples = load_examples(RECIPE.data, RECIPE.seed, QUIET)
    (run / "data").mkdir()
    write_record(run / "data" / "data.json", DataRecord, {"schema": 1, **examples.describe()})
    write_training_and_export(run)
    write_tuning(run, RECIPE)
    write_latency(run / "latency" / "latency.json", {name: {"1": {"p50_ms": 1.0, "p90_ms": 2.0}} for name in NAMES})
    gate = GateRows.of(examples)
    student = run / "predictions" / "student.npz"
    about = {"artefact": "teacher", "sha256": sha256(run / "teacher" / "teacher.safetensors"), "bytes": 1}
    replace(Predictions.load(student), about=about).save(run / "predictions" / "teacher.npz")
    for name in ("ort-cpu-fp32", "ort-cpu-int8"):
        file = run / "artefacts" / ("student.onnx" if name.endswith("fp32") else "student.int8.ort-cpu.onnx")
        predict(artefact_from_file(file, "ort"), gate, QUIET).save(run / "predictions" / f"{name}.npz")
    made_from = {name: sha256(run / "artefacts" / "student.onnx") for name in ("ort-cpu-fp32",)}
    for stage in STAGES:
        files = {path.name: sha256(path) for path in (run / stage).iterdir() if path.name != "stage.json"}
        record = {
            "schema": 1,
            "edgefair": __version__,
            "key": "k",
            "finished": True,
            "made_from": made_from,
            "files": files,
        }
        write_record(run / stage / "stage.json", Stage, record | {"seconds": 1.0})
    kit.bundle(run, place / "kit", QUIET)
    for seed in range(2):
        report = make_report()
        write_record(
            place / f"seed{seed}" / "report.json", Report, report | {"recipe": report["recipe"] | {"seed": seed}}
        )
    write_quantized(place / "quantized")
    Image.new("RGB", (10, 9)).save(place / "image.png")
    _prepared(place)
    Baseline(place / "baseline.json", update=True).check("int8", example(cell_rows=40))
    return place


def _read_only(reference, candidate, limits, timing, seed):
    """In place of the gate: records do not change what it says of the predictions, and that takes its time."""
    timing.check(limits.max_latency_p90_ms)
    return SimpleNamespace(outcome="pass", sentence="", checks=(), verdict=SimpleNamespace(numbers={}))


@patch("edgefair.pipeline.verify.judge_artefact", _read_only)
def _verify(place: Path):
    result = verify(str(place / "run"), [str(place / "run")], {"max_latency_p90_ms": 9.0})
    for one in result.judged:
        if one.outcome == "error":
            raise DataError(one.sentence)


@patch("edgefair.pipeline.verify.judge_artefact", _read_only)
def _verify_elsewhere(place: Path):
    run, file = place / "run", place / "run" / "latency" / "latency.json"
    verify(str(run), [f"{run}:ort-cpu-int8"], {"max_latency_p90_ms": 9.0}, latency_file=file)


def _compare(place: Path):
    ours, theirs = reference_source(str(place / "run")), single_source(f"{place / 'run'}:ort-cpu-int8")
    differences(align(ours.predictions, theirs.predictions))


def _bench(place: Path):
    bench_artefacts([str(place / "run")], [], QUIET)
    bench_artefacts([str(place / "run" / "artefacts")], [], QUIET)


def _bundle(place: Path):
    try:
        kit.bundle(place / "run", place / "new-kit", QUIET)
    finally:
        shutil.rmtree(place / "new-kit", ignore_errors=True)


def read_by_predict(place: Path):
    for folder in (place / "run" / "artefacts", place / "kit"):
        load_runtime("ort", artefact_from_file(folder / "student.onnx", "ort").path)


def _build(place: Path):
    try:
        build(place / "kit", "ort", place / "built", RECIPE.deploy, (), QUIET)
    finally:
        shutil.rmtree(place / "built", ignore_errors=True)


def _quantize(place: Path):
    finished_recipe(place / "run")
    chosen_target(place / "run", "")
    run = RunFolder(place / "run", run_recipe(place / "run"), QUIET)
    run.hash_of(run.path / "artefacts" / "student.onnx")
    run.check_data({"other": "data"})


def _once(function, answers: dict):
    """`function`, asked once for each artefact: it takes longer than reading the records, which it does not see."""

    def cached(*arguments, **named):
        key = tuple(one.about["artefact"] for one in arguments if isinstance(one, Predictions))
        if key not in answers:
            answers[key] = function(*arguments, **named)
        return answers[key]

    return cached


@patch("edgefair.pipeline.judge_run.evaluate_with_floor", _once(evaluate_with_floor, {}))
@patch("edgefair.pipeline.judge_run.judge_artefact", _once(judge_artefact, {}))
@patch("edgefair.pipeline.judge_run.fairness_claim", _once(fairness_claim, {}))
def _report(place: Path):
    run = RunFolder(place / "run", run_recipe(place / "run"), QUIET)
    artefacts = [one for one in artefact_list(run) if one.name in ("teacher", "student")]
    predictions = {one.name: Predictions.load(run.path / "predictions" / f"{one.name}.npz") for one in artefacts}
    data = load_examples(RECIPE.data, RECIPE.seed, QUIET).describe()
    training_charts(build_report(run, artefacts, predictions, data)["history"])


def _resume(place: Path):
    """A stage of its own, for one that is made again is removed."""
    copy = shutil.copytree(place / "run" / "student", place / "resumed" / "student")
    try:
        RunFolder(place / "resumed", RECIPE, QUIET).stage("student", {}, lambda folder: folder.mkdir(exist_ok=True))
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def _summarize(place: Path):
    runs = load_runs([place / "seed0", place / "seed1"])
    summarize_runs(runs)
    compare_runs(runs, runs)
    class_bias(runs, "teacher", runs, "student")


def _frontier(place: Path):
    """The page and tables of both runs; a damaged one is left out, unless nothing is left."""
    found = finite(build_frontier([place / "seed0", place / "seed1"], "student", [0.0, 1.0]))
    render_frontier(found)
    csv_tables(found), latex_tables(found)
    assert len(found["left_out"]) + sum(len(p["seeds"]) for f in found["facets"] for p in f["points"]) == 2


def _trade(place: Path):
    """What `quantize` shows of the records that it left."""
    asked = {"cost": "size", "rank": "mean", "until_fair": True, "simulated": "", "folder": "x"}
    found = [read_values(place / "quantized" / f"{m.__name__}.json", m, AGAIN) for m in (Ranking, VariantsReport)]
    print_trade({**asked, **found[0], **found[1]}, plain_console())


def _prepared(place: Path):
    """The images of the cache, which is made again where it can be; a description that cannot is named."""
    with patch.dict(os.environ, EDGEFAIR_CACHE=str(place / "cache")):
        prepared(_entries(place), 8, False, QUIET)


def _entries(place: Path) -> list[Entry]:
    return [Entry(FilePart(str(place / "image.png")), "a", "b", "0", "row 0")]


def _baseline(place: Path):
    with contextlib.suppress(AssertionError, Inconclusive):  # less fair, or too few rows to say: an answer
        Baseline(place / "baseline.json").check("int8", example(cell_rows=40))


RECORDS = {
    "run/artefacts/manifest.json": (_verify, _compare, _bench, _bundle, read_by_predict, _quantize),
    "run/artefacts/stage.json": (_verify, _bench, _bundle, _quantize),
    "run/predictions/stage.json": (_verify, _bundle, _quantize),
    "run/latency/stage.json": (_verify,),
    "run/student/stage.json": (_resume, _bundle, _quantize),
    "run/data/data.json": (_quantize,),
    "run/latency/latency.json": (_verify, _verify_elsewhere, _report),
    "run/teacher/history.json": (_report,),
    "run/student/history.json": (_report,),
    "run/student/lambda.json": (_report,),
    "run/artefacts/export.json": (_report,),
    "run/tune/tune.json": (_report,),
    "kit/manifest.json": (read_by_predict, _build),
    "kit/kit.json": (_build,),
    "seed1/report.json": (_summarize, _frontier),
    "quantized/Ranking.json": (_trade,),
    "quantized/VariantsReport.json": (_trade,),
    "cache/seen": (_prepared,),
    "cache/files": (_prepared,),
    "baseline.json": (_baseline,),
}
