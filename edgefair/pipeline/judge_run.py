"""report.json: a pure function of a run folder's files, so that anyone can make it again."""

import json

import numpy as np

from edgefair import __version__
from edgefair.files import flat
from edgefair.gate import compare
from edgefair.gate.resource_checks import latency_check, size_check
from edgefair.gate.tolerance import tolerance
from edgefair.gate.verdict import worst
from edgefair.metrics.evaluate import evaluate
from edgefair.metrics.fairness_claim import fairness_claim
from edgefair.metrics.flips import flips_by_group
from edgefair.metrics.power import minimum_tolerances
from edgefair.pipeline.run_folder import RunFolder
from edgefair.predictions import Predictions
from edgefair.recipe import GateRecipe, Recipe
from edgefair.runtimes.artefact import Artefact
from edgefair.seeds import generator

SCHEMA = 1
# What `about` says of every artefact alike; all else is what its runtime and its builder had to say.
IDENTITY = {"artefact", "file", "sha256", "precision", "target", "bytes", "runtime", "version", "provider", "machine"}
IDENTITY |= {"rows_sha256", "data_sha256"}


def build_report(run: RunFolder, artefacts: list[Artefact], predictions: dict[str, Predictions], data: dict) -> dict:
    """Judge every artefact from its predictions, latency and size; the outcome is the worst of all verdicts."""
    recipe = run.recipe
    latency = _json(run, "latency/latency.json")
    entries = [_entry(recipe, artefact, predictions, latency) for artefact in artefacts if not artefact.blocked]
    unverified = [
        {**one.about(), "reason": one.blocked, "details": flat(one.facts)} for one in artefacts if one.blocked
    ]
    history = {name: _json(run, f"{name}/history.json") for name in ("teacher", "student")}
    return {
        "schema": SCHEMA,
        "edgefair": __version__,
        "created": latency["measured"],
        # What could not be run is not known: a run with such a file never passes.
        "outcome": worst([e["outcome"] for e in entries if "outcome" in e] + ["inconclusive" for _ in unverified]),
        "recipe": recipe.model_dump(mode="json"),
        "recipe_sha256": recipe.hash,
        "lambda": _json(run, "student/lambda.json"),
        "machine": latency["machine"],
        "bench": {
            name: latency[name] for name in ("scenario", "rules", "preprocessing", "clocks", "energy", "control")
        },
        "data": data,
        "export": _json(run, "artefacts/export.json"),
        "stage_seconds": run.seconds(),
        "history": history,
        "warnings": teacher_warnings(history["teacher"], len(data["class_names"])),
        "remaining": remaining_disparity(entries),
        "evidence": evidence(data, recipe.gate),
        "artefacts": entries,
        "unverified": unverified,
    }


def _entry(recipe: Recipe, artefact: Artefact, predictions: dict[str, Predictions], latency: dict) -> dict:
    """What is said of one artefact; beside its reference where it has one."""
    mine = predictions[artefact.name]
    entry = {
        **mine.about,
        "details": flat({k: v for k, v in mine.about.items() if k not in IDENTITY} | artefact.facts),
        "latency": latency["artefacts"][artefact.name],
        "load_ms": latency["files"][artefact.name]["load_ms"],
        "metrics": evaluate(mine, recipe.gate.replicates, recipe.seed),
    }
    if not artefact.reference:
        return entry
    reference, gate = predictions[artefact.reference], recipe.gate
    limits = tolerance(gate, artefact.claim)
    verdict = compare(reference, mine, limits, claim=artefact.claim, seed=recipe.seed).to_dict()
    batch = str(artefact.batch or recipe.bench.batches[0])
    beyond = _limits(gate, entry, batch, latency["control"]) if artefact.claim == "same" else []
    claim_rng = generator(recipe.seed, "fairness claim")
    return entry | {
        "reference": artefact.reference,
        "flips": flips_by_group(reference, mine),
        "fairness": fairness_claim(reference, mine, gate.replicates, claim_rng),
        "verdict": verdict,
        "limits": beyond,
        "outcome": worst([verdict["outcome"], *(limit["outcome"] for limit in beyond)]),
    }


def teacher_warnings(history: list[dict], num_classes: int) -> list[str]:
    """What a user should know before trusting anything that comes after: a teacher that has learned little."""
    best = max((row["validation_balanced"] for row in history), default=1.0)
    if best >= 1.5 / num_classes:
        return []
    return [
        f"the teacher recognises {100 * best:.1f} % of the validation rows (mean over classes and groups), close to "
        "guessing; train it longer or otherwise (teacher.epochs, teacher.lr, teacher.batch_size), or give more rows."
    ]


def remaining_disparity(entries: list[dict]) -> str:
    """One sentence on how unfair the student still is: a verdict speaks of change, not of fairness."""
    metrics = next(entry["metrics"] for entry in entries if entry["artefact"] == "student")
    gap = metrics["disparities"]["mean_abs_disparity"]
    if len(metrics["groups"]) < 2:
        return "No groups are declared, so nothing can be said about the student's fairness."
    if gap["value"] != gap["value"]:
        return "The student's disparity is undefined: a (group, class) cell has no rows."
    worst = max(metrics["classes"], key=lambda row: row["gap"])
    largest = f", largest for {worst['name']}: {100 * worst['gap']:.1f} points" if worst["gap"] > 0 else ""
    return (
        "A verdict speaks of change beside the reference. The student's own recall gap is "
        f"{100 * gap['value']:.1f} points on average (noise floor {100 * gap['floor']:.1f}){largest}."
    )


def evidence(data: dict, gate: GateRecipe) -> dict:
    """What the gate rows can show, known before anything was trained; everything here is printed by the report."""
    cells = [rows for group in data["cells"]["gate"] for rows in group]
    return {
        "smallest_cell_rows": min(cells),
        "largest_cell_rows": max(cells),
        "tolerance_mean_drift_points": gate.mean_drift_points,
        "supported_points": _supported(np.array(data["cells"]["gate"])),
    }


def _supported(cells: np.ndarray) -> str:
    """The smallest tolerances that these cells [G, C] can show, in words, for rebuilt and for INT8 files."""
    if len(cells) < 2 or not cells.all():
        return "undefined: there are not two groups with rows of every class"
    found = minimum_tolerances(cells)
    said = [f"{one.mean_points:.1f} (any class: {one.max_points:.1f}) if {one.flip_percent:g} %" for one in found]
    return f"{said[0]} of the predictions flip, {said[1]} do"


def _limits(gate: GateRecipe, entry: dict, batch: str, control: dict) -> list[dict]:
    """Latency and size against the recipe's limits; a limit that is not set is not judged."""
    checks = []
    if gate.max_latency_p90_ms is not None:
        row, quiet = entry["latency"].get(batch, {}), control.get(batch, {}).get("quiet")
        checks.append(latency_check(row, batch, gate.max_latency_p90_ms, quiet))
    if gate.max_size_mb is not None:
        checks.append(size_check(entry["bytes"], gate.max_size_mb))
    return [{name: getattr(one, name) for name in ("name", "value", "limit", "outcome", "sentence")} for one in checks]


def _json(run: RunFolder, name: str):
    return json.loads((run.path / name).read_text())
