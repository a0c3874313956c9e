"""edgefair's files and timing beside what a user would take instead, on one trained student, in one run.

    pip install nncf
    nice -n -15 python benchmarks/side_by_side.py [--run FOLDER] [--core 0] [--seconds 20]

The student comes from distill-and-export on trifeature (made in FOLDER, taken from there the next time). Files: those
of edgefair for ONNX Runtime and OpenVINO, NNCF's default post-training quantisation of the same fp32 file, calibrated
on the same rows. Of each: accuracy, recall gap between groups, the gate's verdict beside the student, size, and latency
at batch 1, all interleaved on one core. Timing: edgefair's runtime beside a bare session.run loop, and in turns beside
OpenVINO's benchmark_app. What is not measured is named with why.
"""

import argparse
import tempfile
from pathlib import Path

import common
import numpy as np
import others

from edgefair.data import Examples, load_examples
from edgefair.data.gate_rows import GateRows
from edgefair.files import sha256
from edgefair.gate import compare
from edgefair.gate.tolerance import tolerance
from edgefair.latency.clocks import clocks, pin
from edgefair.latency.measure import BenchTarget, Design, measure
from edgefair.latency.queries import Queries
from edgefair.latency.rules import Rules
from edgefair.log import Log
from edgefair.metrics.evaluate import evaluate
from edgefair.pipeline.job import distill_and_export
from edgefair.pipeline.run_artefacts import artefact_list
from edgefair.pipeline.run_folder import RunFolder
from edgefair.predictions import Predictions
from edgefair.recipe import Recipe, parse
from edgefair.runtimes import load_runtime
from edgefair.runtimes.artefact import Artefact
from edgefair.runtimes.predict import predict

RECIPE = {
    "strategy": {"name": "adversarial", "lam": 0.5},
    "deploy": {"targets": ["ort-cpu", "openvino"]},
}
FIRST, BARE = "ort-cpu-fp32", "bare session.run, fp32"


def quality(mine: Predictions, student: Predictions, recipe: Recipe) -> dict:
    """Accuracy, worst group and recall gap in percent and points, flips and verdict beside the student in PyTorch."""
    found = evaluate(mine, recipe.gate.replicates, recipe.seed)
    verdict = compare(student, mine, tolerance(recipe.gate, "same"), claim="same", seed=recipe.seed)
    gap = found["disparities"]["mean_abs_disparity"]
    return {
        "accuracy_percent": 100 * found["scores"]["accuracy"]["value"],
        "worst_group_percent": 100 * min(group["accuracy"] for group in found["groups"]),
        "gap_points": 100 * gap["value"],
        "gap_floor_points": 100 * gap["floor"],
        "flips_percent": 100 * float(np.mean(mine.predicted != student.predicted)),
        "verdict": verdict.outcome,
        "sentence": verdict.sentence,
    }


def all_files(run: Path, recipe: Recipe, images: np.ndarray, folder: Path) -> tuple[list, dict]:
    """Every file as an artefact, and why others are not there."""
    own = [one for one in artefact_list(RunFolder(run, recipe, Log(quiet=True))) if one.claim == "same"]
    source, missing = run / "artefacts" / "student.onnx", others.absent()
    try:
        made = others.nncf_files(source, folder, images)
        own += [Artefact(name, *where, "int8", sha256(where[0])) for name, where in made.items()]
    except (ImportError, RuntimeError) as error:
        missing["NNCF"] = str(error)
    return own, missing


def sizes(path: Path) -> int:
    """Bytes of a file and, for OpenVINO's IR, of its weights."""
    return sum(part.stat().st_size for part in (path, path.with_suffix(".bin")) if part.is_file())


def speed(files: list[Artefact], source: Path, examples: Examples, seconds: float) -> dict:
    """Latency of all files and of a bare loop, interleaved; ratios to edgefair's fp32 on ONNX Runtime."""
    loaded = {one.name: BenchTarget(load_runtime(one.runtime, one.path, 1)) for one in files}
    loaded[BARE] = BenchTarget(others.Bare(source))
    images = np.asarray(examples.images[examples.rows["calibration"][:64]])
    against = {name: FIRST for name in loaded if name != FIRST}
    design = Design(Rules(seconds=seconds), against, (FIRST, BenchTarget(load_runtime("ort", source, 1))))
    return measure(loaded, Queries(images).call_of, [1], design)


def beside_benchmark_app(source: Path, examples: Examples, turns: int = 5, seconds: int = 3) -> dict:
    """Medians of single calls of edgefair's OpenVINO runtime and of benchmark_app, in turns, and their ratio."""
    image = np.asarray(examples.images[examples.rows["calibration"][:1]])
    loaded = {"ours": BenchTarget(load_runtime("openvino", source, 1))}
    medians: dict[str, list[float]] = {"ours": [], "benchmark_app": []}
    for _ in range(turns):
        rules = Rules(minimum=64, seconds=seconds, rounds=1)
        rows = measure(loaded, Queries(image).call_of, [1], Design(rules, {}))["artefacts"]
        medians["ours"].append(rows["ours"]["1"]["p50_ms"])
        medians["benchmark_app"].append(others.benchmark_app(source, image.shape, seconds))
    ratios = [theirs / ours for ours, theirs in zip(medians["ours"], medians["benchmark_app"], strict=True)]
    return {"relative_speed": common.spread(ratios), **{f"{k}_ms": common.spread(v) for k, v in medians.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=Path("runs/side-by-side"))
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=20)
    given = parser.parse_args()
    recipe, log = parse(RECIPE), Log()
    pin((given.core,))  # before any runtime starts threads, or some of them would stay on other cores
    distill_and_export(recipe, given.run, log)
    examples = load_examples(recipe.data, recipe.seed, log)
    gate, student = GateRows.of(examples), Predictions.load(given.run / "predictions" / "student.npz")
    source = given.run / "artefacts" / "student.onnx"
    with tempfile.TemporaryDirectory() as folder:
        rows = np.asarray(examples.images[examples.rows["calibration"]])
        files, missing = all_files(given.run, recipe, rows, Path(folder))
        found = {one.name: quality(predict(one, gate, log), student, recipe) for one in files}
        times = speed(files, source, examples, given.seconds)
        for one in files:
            found[one.name] |= {"bytes": sizes(one.path), "latency": times["artefacts"][one.name]["1"]}
        try:
            tool = beside_benchmark_app(source, examples)
        except RuntimeError as error:
            tool = {"not measured": str(error)}
    about = {"recipe": RECIPE, "seed": recipe.seed, "gate_rows": len(gate.rows), "threads": 1, "clocks": clocks()}
    student_row = quality(student, student, recipe)
    common.write(
        "side-by-side",
        {
            **about,
            "student": {name: student_row[name] for name in ("accuracy_percent", "worst_group_percent", "gap_points")},
            "files": found,
            "bare_loop": times["artefacts"][BARE]["1"],
            "control": times["control"],
            "openvino_benchmark_app": tool,
            "not_measured": missing,
        },
    )


if __name__ == "__main__":
    main()
