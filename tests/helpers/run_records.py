"""Whole records of a run folder whose numbers are made up, written as the main job writes them."""

from edgefair.export.mixed_precision.records import Ranking
from edgefair.files import write_record
from edgefair.latency import record as record_file
from edgefair.pipeline.quantize.records import VariantsReport
from edgefair.pipeline.records import Export, Strength
from edgefair.pipeline.tune_record import FOLDER, RECORD_FILE, TuneRecord
from edgefair.training.records import History

EPOCH = {"loss": 2.0, "ce": 1.5, "gradient_ce": 0.1, "kept": True}
EPOCH |= dict.fromkeys(("validation_accuracy", "validation_balanced", "validation_disparity"), 0.4)
RATIO = {"ratio": 1.0, "interval": [0.9, 1.1]}


def write_latency(path, times, batch=0, **about):
    """A latency file. times: {artefact: {batch size: some fields of a timing}}; about: fields in place of the usual."""
    rows = {"p99_ms": 9.0, "mean_ms": 1.0, "calls": 100, "images_per_s": 1e3, "joules_per_image": None}
    file = {"sha256": "0" * 64, "bytes": 1, "precision": "fp32", "batch": batch, "runtime": "ort", "load_ms": 1.0}
    files = dict.fromkeys(times, file)
    rules = {"scenario": "single-stream", "minimum": 1, "seconds": 1.0, "rounds": 1, "warmup": 1, "mlperf": False}
    record = {
        "schema": record_file.SCHEMA,
        "kind": record_file.KIND,
        "measured": "2026-01-02T03:04:05+00:00",
        "machine": {"processor": "made up"},
        "threads": 1,
        "scenario": "single-stream",
        "rules": rules,
        "preprocessing": {"included": False, "what": "none", "images": 1, "size": 32, "source": "made up"},
        "clocks": {"cores": [0], "governor": None, "mhz": None},
        "energy": "not reported",
        "files": files,
        "artefacts": {name: {size: rows | row for size, row in sizes.items()} for name, sizes in times.items()},
        "control": {"1": {"of": next(iter(times)), **RATIO, "quiet": True}},
        "rounds": {},
    }
    record_file.write_latency(path, record | about)


def write_training_and_export(folder):
    """The records of a teacher and a student that were not trained, and of an export that quantised nothing."""
    for name in ("teacher", "student"):
        write_record(folder / name / "history.json", History, [EPOCH | {"epoch": number} for number in (1, 2)])
    write_record(folder / "student" / "lambda.json", Strength, {"value": 0.0, "meaning": "made up"})
    rows = {"method": "minmax", "rows": 0, "ids_sha256": "0" * 64, "ids": [], "short_cells": []}
    export = {"opset": 18, "parity": {"1": 0.0}, "nodes": 1, "quantised": {}, "calibration": rows}
    write_record(folder / "artefacts" / "export.json", Export, export)


WEIGHTS = ("teacher/teacher.safetensors", "student/student.safetensors")
VARIANT = dict.fromkeys(("artefact", "file", "precision", "target", "name"), "x") | {"sha256": "0" * 64, "bytes": 1}
VARIANT |= dict.fromkeys(("accuracy", "worst_group", "disparity", "noise_floor", "flips", "flips_worst_group"), 0.5)
VARIANT |= {"kept": None, "blocked": "", "latency": None, "outcome": "pass", "verdict": {"sentence": "."}, "limits": []}
NO_CHOICE = {"variants": [VARIANT], "choices": {}, "best": "x", "outcome": "pass"}


def write_quantized(folder):
    """What `quantize` shows of a network of two units: their ranking, and one variant with a choice."""
    errors = {"errors": [0.1, None], "mean": 0.1}
    ranking = {"target": "ort-cpu", "dialect": "ort-cpu", "ranking_rows": 10, "choosing_rows": 10}
    ranking |= {"group_names": ["warm", "cool"], "before": {"unit": "", **errors}, "units": {"a": ["a"], "b": ["b"]}}
    ranking |= {"sensitivities": [{"unit": name, **errors} for name in "ab"], "costs": {"size": {"a": 1.0, "b": 2.0}}}
    write_record(folder / "Ranking.json", Ranking, ranking)
    choice = {"kept": ["a"], "holds": False, "tried": 1, "returned": [], "nodes": ["a"], "order": ["a", "b"]}
    choice["over_without"] = [{"name": "mean_drift", "value": 1.0}]
    write_record(folder / "VariantsReport.json", VariantsReport, NO_CHOICE | {"choices": {"group-aware": choice}})


FIGURES = {"folder": "a", "epochs": 2, **dict.fromkeys(("accuracy", "disparity", "floor", "spread"), 0.5)}
TRIAL = {"what": "loss none, plain", "settings": {"loss.name": "none"}, "full": FIGURES, "why": ""}


def make_tuning(recipe) -> dict:
    """The record of a search of two trials that chose this recipe."""
    goal = {"kind": "gap", "max_accuracy_loss": 0.005, "lam": 0.5, "sentence": "the least gap"}
    honest = dict.fromkeys(("disparity", "disparity_high", "accuracy", "smaller"), 0.25) | {"halves": 4}
    trials = [TRIAL | {"short": None, "outcome": "baseline"}, TRIAL | {"short": FIGURES, "outcome": "chosen"}]
    found = {"honest": honest, "helped": True, "sentence": "Chosen: made up.", "chosen": 1}
    made = {"schema": 1, "edgefair": "0", "objective": goal, "seed": 0, "validation_rows": 9, "budget": 6.0}
    return made | {"notes": ["A note."], "trials": trials, "recipe_sha256": recipe.hash} | found


def write_tuning(folder, recipe):
    """tune.json of a run folder."""
    write_record(folder / FOLDER / RECORD_FILE, TuneRecord, make_tuning(recipe))
