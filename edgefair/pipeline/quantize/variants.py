"""The variants as files: quantised, built for their target, run on the gate rows, timed beside each other, judged."""

import math
from dataclasses import asdict
from pathlib import Path

from edgefair.data.gate_rows import GateRows
from edgefair.export.mixed_precision.simulate import Simulated
from edgefair.export.quantization import quantize
from edgefair.files import write_bytes, write_record
from edgefair.gate import Timing, judge_artefact
from edgefair.gate.claims import EQUIVALENCE
from edgefair.gate.limits import recipe_limits
from edgefair.metrics.evaluate import evaluate_with_floor
from edgefair.pipeline.bench.stage import time_artefacts
from edgefair.pipeline.quantize.context import QuantizeContext
from edgefair.pipeline.quantize.records import VariantsReport
from edgefair.predictions import Predictions
from edgefair.recipe import Recipe
from edgefair.runtimes import manifest, runtime_class
from edgefair.runtimes.artefact import Artefact, exported
from edgefair.runtimes.predict import predict
from edgefair.runtimes.records import ManifestEntry
from edgefair.runtimes.targets import TARGETS

FLOAT, INT8 = "all-float", "all-int8"


def build_variants(work: QuantizeContext, choices: dict[str, tuple[Path, dict]], folder: Path) -> None:
    """Write every variant's file, manifest.json, NAME.npz of each and report.json.

    choices: name -> (float ONNX file, choice). A choice without a unit in float is all-int8 again and not built twice.
    """
    (folder / manifest.NAME).unlink(missing_ok=True)  # the new files are not those that an earlier one lists
    plan = {FLOAT: (work.source, None), INT8: (work.source, [])}
    plan |= {
        name: (source, choice["nodes"]) for name, (source, choice) in choices.items() if _new(source, choice, work)
    }
    entries = []
    for name, (source, kept) in plan.items():
        entries += _build(work, name, source, kept, folder)
    manifest.write(folder, entries)
    artefacts = {entry.name: exported(folder, entry) for entry in entries if not entry.batch}
    predicted = _predict(work, artefacts, folder)
    latency = _latency(work, artefacts)
    reference = Predictions.load(work.run.path / "predictions" / "student.npz")
    rows = [_row(work, artefacts[name], predicted[name], reference, plan[name][1], latency) for name in plan]
    best = [row for row in rows if row["name"] != FLOAT][-1]
    report = {"schema": 1, "variants": rows, "choices": _choices(choices), **_outcome(work, best)}
    write_record(folder / "report.json", VariantsReport, report)


def _choices(choices: dict) -> dict:
    return {name: choice for name, (_, choice) in choices.items()}


def _new(source: Path, choice: dict, work: QuantizeContext) -> bool:
    return bool(choice["nodes"]) or source != work.source


def _build(work: QuantizeContext, name: str, source: Path, kept: list[str] | None, folder: Path) -> list[ManifestEntry]:
    """The manifest's entries of one variant; kept None means that nothing is quantised."""
    path, facts = folder / f"{name}.onnx", {}
    if kept is None:
        write_bytes(path, source.read_bytes())
    else:
        settings = (work.calibration[0], work.dialect, work.recipe.quantize, work.calibration[1])
        facts = quantize(source, path, *settings, keep=kept, ranges=work.variants(source).ranges)
    runtime = runtime_class(TARGETS[work.target].runtime)
    where = (work.target, TARGETS[work.target].runtime, "fp32" if kept is None else "int8")
    if runtime.build_unavailable_reason():
        return [manifest.entry(name, path, *where, blocked=runtime.build_unavailable_reason(), facts=facts)]
    built = runtime.build(path, folder, f"{name}.{work.target}", work.recipe.deploy)
    return [
        manifest.entry(
            name + (f"-b{one.batch}" if one.batch else ""),
            one.path,
            *where,
            batch=one.batch,
            blocked=runtime.run_unavailable_reason(),
            facts=facts | one.facts,
        )
        for one in built
    ]


def _predict(work: QuantizeContext, artefacts: dict[str, Artefact], folder: Path) -> dict[str, Predictions]:
    """What each variant predicts for the gate rows; where the target is not here, its ONNX file on the simulator."""
    gate, predicted = GateRows.of(work.examples), {}
    for name, artefact in artefacts.items():
        if artefact.blocked:
            with Simulated(folder / f"{name}.onnx", work.dialect) as simulator:
                predicted[name] = predict(artefact, gate, work.log, runtime=simulator)
        else:
            predicted[name] = predict(artefact, gate, work.log)
        predicted[name].save(folder / f"{name}.npz")
    return predicted


def _latency(work: QuantizeContext, artefacts: dict[str, Artefact]) -> dict:
    """The record of times, interleaved between the variants; nothing where the target is not here."""
    if any(artefact.blocked for artefact in artefacts.values()):
        return {"artefacts": {}, "control": {}}
    return time_artefacts(list(artefacts.values()), work.examples, work.recipe, work.log)


def _row(
    work: QuantizeContext,
    artefact: Artefact,
    mine: Predictions,
    reference: Predictions,
    kept: list[str] | None,
    latency: dict,
) -> dict:
    """The report's row of one variant."""
    batch = str(work.recipe.bench.batches[0])
    rows = latency["artefacts"].get(artefact.name, {})
    about = {**artefact.about(), "name": artefact.name, "kept": kept, "blocked": artefact.blocked}
    about["latency"] = rows.get(batch)
    return about | judge_variant(reference, mine, work.recipe, Timing(rows, latency["control"], batch))


def judge_variant(reference: Predictions, mine: Predictions, recipe: Recipe, timing: Timing) -> dict:
    """Scores of a variant on the gate rows as shares of one, and its judgement.

    reference, mine: predictions of the student and of the variant. recipe: the run's, for limits, draws and seed.
    timing: the variant's latency.
    """
    metrics, floor = evaluate_with_floor(mine, recipe.gate.replicates, recipe.seed)
    limits = recipe_limits(recipe, EQUIVALENCE)
    judgement = judge_artefact(reference, mine, limits, timing=timing, seed=recipe.seed, floors=(None, floor))
    disparity = metrics["disparities"]["mean_abs_disparity"]
    known = [group["accuracy"] for group in metrics["groups"] if not math.isnan(group["accuracy"])]
    checks = {check.name: check.value for check in judgement.checks}
    return {
        "accuracy": metrics["scores"]["accuracy"]["value"],
        "worst_group": min(known, default=math.nan),
        "disparity": disparity["value"],
        "noise_floor": disparity["floor"],
        "flips": checks["flip_rate"] / 100,
        "flips_worst_group": checks["group_flip_rate"] / 100,
        "outcome": judgement.outcome,
        "verdict": judgement.verdict.to_dict(),
        "limits": [asdict(check) for check in judgement.extra],
    }


def _outcome(work: QuantizeContext, best: dict) -> dict:
    """The verdict of the variant to ship; what did not run on its target is not known to pass."""
    passed_elsewhere = work.blocked and best["outcome"] == "pass"
    return {"best": best["name"], "outcome": "inconclusive" if passed_elsewhere else best["outcome"]}
