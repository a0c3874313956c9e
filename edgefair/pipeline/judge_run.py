"""report.json: a pure function of a run folder's files, so that anyone can make it again."""

import numpy as np

from edgefair import __version__
from edgefair.errors import RunFolderError
from edgefair.files import flat, read_values
from edgefair.gate import Timing, judge_artefact
from edgefair.gate.limits import recipe_limits
from edgefair.gate.verdict import worst
from edgefair.latency.records import LatencyRecord
from edgefair.metrics.evaluate import evaluate_with_floor
from edgefair.metrics.fairness_claim import fairness_claim
from edgefair.metrics.flips import flips_by_group
from edgefair.metrics.noise_floor import NoiseFloor
from edgefair.metrics.power import minimum_tolerances
from edgefair.pipeline.records import Export, Strength
from edgefair.pipeline.run_folder import AGAIN, RunFolder
from edgefair.pipeline.tune_record import read_tuning
from edgefair.predictions import Predictions
from edgefair.recipe import GateSettings, Recipe
from edgefair.runtimes.artefact import Artefact
from edgefair.seeds import generator
from edgefair.training.records import History

SCHEMA = 1
# What `about` says of every artefact alike; all else is what its runtime and its builder had to say.
IDENTITY = {"artefact", "file", "sha256", "precision", "target", "bytes", "runtime", "version", "provider", "machine"}
IDENTITY |= {"rows_sha256", "data_sha256"}


def build_report(run: RunFolder, artefacts: list[Artefact], predictions: dict[str, Predictions], data: dict) -> dict:
    """Judge every artefact from its predictions, latency and size; the outcome is the worst of all verdicts.

    artefacts: all of the run, those that could not be run included. predictions: by artefact, of the others. data: what
    the report says of the data set.
    """
    recipe = run.recipe
    latency = _read_latency(run, [artefact.name for artefact in artefacts if not artefact.blocked])
    could_run = [artefact for artefact in artefacts if not artefact.blocked]
    evaluated = {
        one.name: evaluate_with_floor(predictions[one.name], recipe.gate.replicates, recipe.seed) for one in could_run
    }
    entries = [_entry(recipe, artefact, predictions, evaluated, latency) for artefact in could_run]
    unverified = [
        {**one.about(), "reason": one.blocked, "details": flat(one.facts)} for one in artefacts if one.blocked
    ]
    history = {name: _read(run, f"{name}/history.json", History) for name in ("teacher", "student")}
    return {
        "schema": SCHEMA,
        "edgefair": __version__,
        "created": latency["measured"],
        # What could not be run is not known: a run with such a file never passes.
        "outcome": worst([e["outcome"] for e in entries if "outcome" in e] + ["inconclusive" for _ in unverified]),
        "recipe": recipe.model_dump(mode="json"),
        "recipe_sha256": recipe.hash,
        "lambda": _read(run, "student/lambda.json", Strength),
        "machine": latency["machine"],
        "bench": {
            name: latency[name] for name in ("scenario", "rules", "preprocessing", "clocks", "energy", "control")
        },
        "data": data,
        "export": _read(run, "artefacts/export.json", Export),
        "stage_seconds": run.seconds(),
        "history": history,
        "warnings": teacher_warnings(history["teacher"], len(data["class_names"])) + early_warnings(history),
        "remaining": remaining_disparity(entries),
        "evidence": evidence(data, recipe.gate),
        "artefacts": entries,
        "unverified": unverified,
        **_tuning(run),
    }


def _tuning(run: RunFolder) -> dict:
    """The record of the search that chose this recipe, where one did."""
    record = read_tuning(run.path)
    return {"tuning": record} if record and record["recipe_sha256"] == run.recipe.hash else {}


def _entry(
    recipe: Recipe,
    artefact: Artefact,
    predictions: dict[str, Predictions],
    evaluated: dict[str, tuple[dict, NoiseFloor]],
    latency: dict,
) -> dict:
    """The report's entry of one artefact; with its judgement where it has a reference."""
    mine = predictions[artefact.name]
    metrics, floor = evaluated[artefact.name]
    entry = {
        **mine.about,
        "details": flat({k: v for k, v in mine.about.items() if k not in IDENTITY} | artefact.facts),
        "latency": latency["artefacts"][artefact.name],
        "load_ms": latency["files"][artefact.name]["load_ms"],
        "metrics": metrics,
    }
    if not artefact.reference:
        return entry
    judgement = judge_artefact(
        predictions[artefact.reference],
        mine,
        recipe_limits(recipe, artefact.claim),
        timing=Timing(entry["latency"], latency["control"], str(artefact.batch or recipe.bench.batches[0])),
        seed=recipe.seed,
        floors=(evaluated[artefact.reference][1], floor),
    )
    claim_rng = generator(recipe.seed, "fairness claim")
    shown = ("name", "value", "limit", "outcome", "sentence")
    return entry | {
        "reference": artefact.reference,
        "flips": flips_by_group(judgement.pair),
        "fairness": fairness_claim(judgement.pair, recipe.gate.replicates, claim_rng),
        "verdict": judgement.verdict.to_dict(),
        "limits": [{name: getattr(check, name) for name in shown} for check in judgement.extra],
        "outcome": judgement.outcome,
    }


def teacher_warnings(history: list[dict], num_classes: int) -> list[str]:
    """What a user should know before trusting anything that comes after: a teacher that has learned little."""
    best = max((value for row in history if (value := row["validation_balanced"]) is not None), default=1.0)
    if best >= 1.5 / num_classes:
        return []
    return [
        f"the teacher recognises {100 * best:.1f} % of the validation rows (mean over classes and groups), close to "
        "guessing; train it longer or otherwise (teacher.epochs, teacher.lr, teacher.batch_size), or give more rows."
    ]


def early_warnings(history: dict[str, list[dict]]) -> list[str]:
    """What the first epoch of teacher and student gave reason to say, with whose it was."""
    return [
        f"first epoch of the {name}: {warning}"
        for name, rows in history.items()
        for row in rows
        for warning in row.get("warnings", ())
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


def evidence(data: dict, gate: GateSettings) -> dict:
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
    points = [
        f"{one.mean_points:.1f} (any class: {one.max_points:.1f}) if {one.flip_percent:g} %"
        for one in minimum_tolerances(cells)
    ]
    return f"{points[0]} of the predictions flip, {points[1]} do"


def _read_latency(run: RunFolder, names: list[str]) -> dict:
    """The run's latency file as JSON values; raises RunFolderError where it lacks one of these artefacts."""
    latency = _read(run, "latency/latency.json", LatencyRecord)
    for name in names:
        if name not in latency["artefacts"] or "load_ms" not in latency["files"].get(name, {}):
            raise RunFolderError(f"{run.path / 'latency' / 'latency.json'} has no times of '{name}'. {AGAIN}")
    return latency


def _read(run: RunFolder, name: str, model):
    """A record of the run as JSON values, as the report shows it; raises RunFolderError where it is damaged."""
    return read_values(run.path / name, model, AGAIN, RunFolderError)
