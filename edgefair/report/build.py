"""report.json: a pure function of a run folder's files, so that anyone can make it again."""

import json
from datetime import UTC, datetime

from edgefair import __version__
from edgefair.artefacts import Artefact
from edgefair.evaluate import evaluate
from edgefair.gate import compare
from edgefair.machine import describe_machine
from edgefair.predictions import Predictions
from edgefair.recipe import GateRecipe
from edgefair.runfolder import RunFolder
from edgefair.tolerance import Tolerance

SCHEMA = 1
SEVERITY = ("pass", "inconclusive", "fail")


def build_report(run: RunFolder, artefacts: list[Artefact], data: dict) -> dict:
    """Judge every artefact from its predictions, latency and size; the outcome is the worst of all verdicts."""
    recipe = run.recipe
    predictions = {a.name: Predictions.load(run.path / "predictions" / f"{a.name}.npz") for a in artefacts}
    latency = _json(run, "latency/latency.json")
    entries = []
    for artefact in artefacts:
        mine = predictions[artefact.name]
        entry = {
            **mine.about,
            "latency": latency["artefacts"][artefact.name],
            "metrics": evaluate(mine, recipe.gate.replicates, recipe.seed),
        }
        if artefact.reference:
            entry["reference"] = artefact.reference
            limits = tolerance(recipe.gate, artefact.claim)
            entry["verdict"] = compare(
                predictions[artefact.reference], mine, limits, claim=artefact.claim, seed=recipe.seed
            ).to_dict()
            entry["limits"] = (
                _limits(recipe.gate, entry, str(recipe.bench.batches[0])) if artefact.claim == "same" else []
            )
            entry["outcome"] = _worst([entry["verdict"]["outcome"], *(limit["outcome"] for limit in entry["limits"])])
        entries.append(entry)
    judged = [entry["outcome"] for entry in entries if "outcome" in entry]
    return {
        "schema": SCHEMA,
        "edgefair": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "outcome": _worst(judged),
        "recipe": recipe.model_dump(mode="json"),
        "recipe_sha256": recipe.hash,
        "lambda": _json(run, "student/lambda.json"),
        "machine": describe_machine(),
        "data": data,
        "export": _json(run, "artefacts/export.json"),
        "stage_seconds": run.seconds(),
        "history": {name: _json(run, f"{name}/history.json") for name in ("teacher", "student")},
        "artefacts": entries,
    }


def tolerance(gate: GateRecipe, claim: str) -> Tolerance:
    """The tolerances that the recipe sets for a claim: artefact beside student, or student beside teacher."""
    prefix = "teacher_" if claim == "no_worse" else ""
    points = {
        name: getattr(gate, prefix + name)
        for name in ("mean_drift_points", "accuracy_drop_points", "worst_group_drop_points")
    }
    return Tolerance(**points, flip_rate_percent=gate.flip_percent, min_cell=gate.min_cell, replicates=gate.replicates)


def _limits(gate: GateRecipe, entry: dict, batch: str) -> list[dict]:
    """Latency and size against the recipe's limits; a limit that is not set is not judged."""
    p90, size = entry["latency"][batch]["p90_ms"], entry["bytes"] / 1e6
    rows = [
        ("latency_p90_ms", f"p90 latency at batch {batch}", p90, gate.max_latency_p90_ms, "ms"),
        ("size_mb", "file size", size, gate.max_size_mb, "MB"),
    ]
    return [
        {
            "name": name,
            "value": value,
            "limit": limit,
            "outcome": "pass" if value <= limit else "fail",
            "sentence": f"{what} is {value:.3g} {unit}; allowed are {limit:g} {unit}.",
        }
        for name, what, value, limit, unit in rows
        if limit is not None
    ]


def _worst(outcomes: list[str]) -> str:
    return max(outcomes, key=SEVERITY.index)


def _json(run: RunFolder, name: str):
    return json.loads((run.path / name).read_text())
