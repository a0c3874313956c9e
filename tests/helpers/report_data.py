"""Reports and galleries of the real shape, made from predictions drawn here."""

import numpy as np

from edgefair.files import finite
from edgefair.gate import Tolerance, compare
from edgefair.metrics.comparison import align
from edgefair.metrics.evaluate import evaluate
from edgefair.metrics.fairness_claim import fairness_claim
from edgefair.metrics.flips import flips_by_group
from edgefair.predictions import Predictions
from edgefair.recipe import parse
from edgefair.seeds import generator

PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
PIXEL += "AAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
HOSTILE = "</script><script>alert('x')</script>"
LATENCY = {"p50_ms": 0.2, "p90_ms": 0.31, "p99_ms": 1.5, "mean_ms": 0.25, "calls": 20, "p90_upper_ms": None}
LATENCY |= {"images_per_s": 4000.0, "joules_per_image": None}
RATIO = {"ratio": 3.25, "interval": (3.1, 3.4), "word": "faster"}
SPEEDUP = {"speedup": {"to": "student", **dict.fromkeys(("p50", "p90", "mean"), RATIO)}}
EPOCH = {"loss": 2.0, "ce": 1.5, "adversary": 0.7, "validation_accuracy": 0.4, "validation_balanced": None}


def predictions(name: str, classes: tuple, groups: tuple, per_cell: int = 6, wrong: float = 0.3, seed: int = 0):
    """Rows of every cell, a share of them predicted at random."""
    rng = np.random.default_rng(seed)
    labels, owners = (part.ravel() for part in np.indices((len(classes), len(groups))))
    labels, owners = np.repeat(labels, per_cell), np.repeat(owners, per_cell)
    predicted = np.where(rng.random(len(labels)) < wrong, rng.integers(len(classes), size=len(labels)), labels)
    logits = np.eye(len(classes), dtype=np.float32)[predicted] * 4
    about = {
        "artefact": name, "file": f"{name}.onnx", "sha256": "ab" * 32, "precision": "fp32", "bytes": 361604,
        "runtime": "onnxruntime", "version": "1.22", "provider": "cpu", "threads": 1, "machine": {"processor": "chip"},
    }  # fmt: skip
    return Predictions(np.arange(len(labels)).astype(str), labels, owners, logits, classes, groups, about)


def entry(mine: Predictions, reference: Predictions | None = None, claim: str = "same") -> dict:
    """What build_report writes of one artefact."""
    timed = {"latency": {"1": LATENCY, "32": LATENCY | SPEEDUP}, "load_ms": 12.5}
    made = {**mine.about, **timed, "metrics": evaluate(mine, 100, 0)}
    if reference is not None:
        verdict = compare(reference, mine, Tolerance(replicates=100), claim=claim).to_dict()
        limit = {"name": "size_mb", "value": 0.36, "limit": 1.0, "outcome": "pass", "sentence": "file size is fine."}
        outcome = {"reference": reference.about["artefact"], "verdict": verdict, "outcome": verdict["outcome"]}
        made |= {**outcome, "limits": [limit], "flips": flips_by_group(align(reference, mine))}
        made["fairness"] = fairness_claim(align(reference, mine), 100, generator(0, "claim"))
    return made


def make_report(classes=("cat", "dog"), groups=("warm", "cool"), names=("teacher", "student", "ort-cpu-int8"), **about):
    """A report of the real shape, from predictions made here."""
    teacher, student, int8 = (predictions(name, classes, groups, seed=i) for i, name in enumerate(names))
    null = entry(predictions("null", classes, groups)) | {"runtime": "null"}
    artefacts = [entry(teacher), entry(student, teacher, "no_worse"), entry(int8, student), null]
    cells = np.full((len(groups), len(classes)), 6)
    lists = ("train", "meta", "validation", "calibration", "gate")
    recipe = parse({})
    calibration = {"method": "minmax", "rows": 20, "ids_sha256": "ef"}
    report = {
        "schema": 1, "edgefair": "0.1.0", "created": "2026-01-02T03:04:05+00:00", "outcome": "fail",
        "recipe": recipe.model_dump(mode="json"), "recipe_sha256": recipe.hash,
        "machine": {"processor": "chip", "cores": 2},
        "lambda": {"value": 0.5, "meaning": "adversarial: L = L_task - lambda * L_adv"},
        "data": {
            "name": "trifeature", "source": "rendered", "terms": "none", "class_names": classes, "group_names": groups,
            "image_size": 32, "rows": dict.fromkeys(lists, int(cells.sum())), "cells": dict.fromkeys(lists, cells),
            "id_hashes": dict.fromkeys(lists, "cd" * 32), **about,
        },
        "export": {"opset": 18, "nodes": 24, "parity": {"1": 2e-7}, "calibration": calibration},
        "stage_seconds": {"teacher": 12.3}, "history": {"teacher": [], "student": [{"epoch": 1, **EPOCH}]},
        "bench": {"control": {"32": {"of": "ort-cpu-fp32", "ratio": 1.12, "interval": (1.0, 1.25), "quiet": False}}},
        "artefacts": artefacts, "unverified": [], "remaining": "What remains.", "warnings": [],
        "evidence": {"smallest_cell_rows": 6, "something_new": 1.25},
    }  # fmt: skip
    return finite(report)


def make_gallery(classes=("cat", "dog"), groups=("warm", "cool"), path=("teacher", "student", "ort-cpu-int8")) -> dict:
    """A gallery of the real shape: one picture lost by the student, one won back by the last artefact."""
    said = [[classes[0], classes[1], classes[1]], [classes[1], classes[1], classes[0]]]
    items = [
        {"id": "7", "image": PIXEL, "true": classes[0], "group": groups[i], "said": said[i], "kinds": {step: kind}}
        for i, (step, kind) in enumerate([(path[1], "lost"), (path[2], "won")])
    ]
    cells = [{"class": c, "group": g, "images": [PIXEL]} for c in classes for g in groups]
    return {"cells": cells, "path": list(path), "flips": items}
