"""Quantisation that keeps groups whole, beside what quantisers do otherwise, on students that learned from skewed data.

    python benchmarks/fair_quantization.py FAIRFACE_FOLDER [--students runs/fair-students] [--seeds 2]
        [--data fairface trifeature] [--networks lite0 efficientnet_b0 resnet18] [--dialects ort-cpu] [--finetune N]

For every student: float; all-INT8 with calibration rows drawn at random and balanced over (class, group), min-max, no
operator in float; the family's defaults (percentile, squeeze-excitation and head in float, where there is any); from
there operators in float ranked by the worst group's margin error and by the mean one; NNCF's choice by accuracy.
Operators are ranked and chosen on validation rows. All figures are of gate rows, which nothing was chosen on. Students
are trained once and kept. The dialect of TensorRT is computed by ONNX Runtime as written: no device, no latency.
"""

import argparse
import importlib.metadata
import json
import time
from pathlib import Path

import common
import methods
import numpy as np
from fair_timing import FLOAT, file_of, timed
from nncf_choice import nncf_file, nncf_runtime, why_not
from skewed_students import DATA, KEPT_SHARE, NETWORKS, student

from edgefair.data import Examples
from edgefair.data.calibration import calibration_images
from edgefair.data.gate_rows import GateRows
from edgefair.export.mixed_precision.cost import latency_costs, size_costs
from edgefair.export.mixed_precision.ranking_rows import ranking_rows
from edgefair.export.mixed_precision.search import TOLERANCE_FRACTION, choose, meets_tolerances, violated_checks
from edgefair.export.mixed_precision.sensitivity import RANKS, order, sensitivities
from edgefair.export.mixed_precision.simulate import OPTIMISED, Simulated, Variants, run
from edgefair.export.mixed_precision.units import nodes_of, units
from edgefair.export.onnx_export import export_onnx
from edgefair.export.quantization import quantizable, quantize
from edgefair.export.quantization.calibration import calibrate
from edgefair.files import write_json
from edgefair.gate.judge import NOT_TIMED
from edgefair.gate.tolerance import tolerance
from edgefair.models import create
from edgefair.pipeline.quantize.variants import judge_variant
from edgefair.recipe import Recipe
from edgefair.runtimes import load_runtime, predict_rows
from edgefair.seeds import generator

CHANGES = ("accuracy", "worst_group", "disparity")
RANKING_ROWS = {"ort-cpu": 600, "tensorrt": 300}  # computed as written, a row takes ten times as long
CHOOSING_ROWS = {"ort-cpu": 2000, "tensorrt": 1000}
MOST = 12  # units in float; a search for more takes its time, and little is left of INT8 then


class Case:
    """One student in one dialect: its files, and what is measured of them."""

    def __init__(self, recipe: Recipe, examples: Examples, weights: Path, dialect: str):
        self.recipe, self.examples, self.dialect = recipe, examples, dialect
        self.folder = weights.parent / f"{weights.stem}-{dialect}"
        self.folder.mkdir(exist_ok=True)
        self.source = weights.with_suffix(".onnx")
        self.images, self.cells = calibration_images(recipe, examples)
        if not self.source.exists():
            model = create(f"file:{weights}", len(examples.class_names), 0)
            export_onnx(model, self.images, recipe.export, self.source, {})
        self.rows = ranking_rows(
            examples, lambda images: run(str(self.source), images, optimised=True), CHOOSING_ROWS[dialect]
        )
        self.runtimes = {FLOAT: load_runtime("ort", self.source, 1)}
        self.facts = {FLOAT: {"kept": None, "bytes": self.source.stat().st_size}}

    def add(self, name: str, images: np.ndarray, settings, keep=(), ranges=None, **facts) -> None:
        """Quantise for a variant of that name and make it ready to run."""
        path = file_of(self.folder, name)
        quantize(self.source, path, images, self.dialect, settings, self.cells, keep=keep, ranges=ranges)
        optimised = self.dialect in OPTIMISED
        self.runtimes[name] = load_runtime("ort", path, 1) if optimised else Simulated(path, self.dialect, 1)
        kept = len(quantizable(self.source, self.dialect, PLAIN)) - len(
            set(quantizable(self.source, self.dialect, settings)) - set(keep)
        )
        self.facts[name] = {"kept": kept, "bytes": path.stat().st_size, **facts}


PLAIN = methods.recipe_of({"quantize.method": "minmax", "quantize.keep_float": "none"}).quantize


def simple(case: Case) -> None:
    """All-INT8 with both kinds of calibration rows, and the family's defaults."""
    rows = case.examples.rows["calibration"]
    drawn = generator(case.recipe.seed, "benchmark", "calibration").choice(rows, len(case.images), replace=False)
    case.add("int8, random", case.examples.images[np.sort(drawn)], PLAIN)
    case.add("int8, balanced", case.images, PLAIN)
    case.add("defaults", case.images, case.recipe.quantize)


def chosen(case: Case) -> None:
    """Operators in float by the worst group's error and by the mean one, held to half of every tolerance."""
    settings = case.recipe.quantize
    ranges = calibrate(case.source, case.images, settings, case.cells)
    variants = Variants(case.source, case.dialect, settings, ranges, 1)
    found = units(case.source, case.dialect, settings)
    few, every = case.rows.spread(RANKING_ROWS[case.dialect]), set(nodes_of(found, found))
    started = time.perf_counter()
    before, ranked = sensitivities(lambda nodes: variants.logits(nodes, few.images), found, few)
    costs = (
        latency_costs(variants, found, case.images[:1]) if case.dialect in OPTIMISED else size_costs(variants, found)
    )
    seconds = time.perf_counter() - started
    print(f"  {len(found)} units ranked in {seconds:.0f} s", flush=True)
    limits = tolerance(case.recipe.gate, "same")
    lacking = violated_checks(case.rows, variants.logits(every, case.rows.images), limits)
    case.over = [{"name": check.name, "value": check.value, "limit": check.limit} for check in lacking]

    def holds(kept) -> bool:
        return meets_tolerances(
            case.rows, variants.logits(every - set(nodes_of(found, kept)), case.rows.images), limits
        )

    for rank in RANKS:
        started = time.perf_counter()
        choice = choose(order(before, ranked, rank, costs), costs, holds, MOST)
        took = {"ranking_seconds": seconds, "search_seconds": time.perf_counter() - started, "units": len(found)}
        print(f"  {rank}: {choice}", flush=True)
        case.add(
            f"group-aware, {rank}", case.images, settings, nodes_of(found, choice.kept), ranges,
            choice=choice.to_dict(), **took,
        )  # fmt: skip


def by_accuracy(case: Case) -> None:
    """NNCF's choice, held to the same share of the accuracy tolerance."""
    started = time.perf_counter()
    path = case.folder / "nncf.xml"
    max_drop = TOLERANCE_FRACTION * case.recipe.gate.accuracy_drop_points / 100
    kept = nncf_file(case.source, path, case.images, case.rows, max_drop)
    size = path.stat().st_size + path.with_suffix(".bin").stat().st_size
    case.runtimes["NNCF, accuracy"] = nncf_runtime(path)
    case.facts["NNCF, accuracy"] = {"kept": kept, "bytes": size, "search_seconds": time.perf_counter() - started}


def measured(case: Case) -> dict[str, dict]:
    """Figures of every variant on the gate rows, percent and points."""
    gate, predicted = GateRows.of(case.examples), {}
    for name, runtime in case.runtimes.items():
        logits = predict_rows(runtime, gate.images, gate.rows, lambda _: None)
        predicted[name] = gate.predictions(logits, {})
    figures = {}
    for name, mine in predicted.items():
        found = judge_variant(predicted[FLOAT], mine, case.recipe, NOT_TIMED)
        verdict = found.pop("verdict")
        shares = {key: 100 * value for key, value in found.items() if isinstance(value, float)}
        drops = {c["name"]: c["value"] for c in verdict["checks"] if c["name"].endswith(("_drop", "_drift"))}
        figures[name] = {**case.facts[name], **shares, **drops, "outcome": found["outcome"]}
    for name, row in figures.items():
        row |= {f"{key}_change": row[key] - figures[FLOAT][key] for key in CHANGES}
        shown = "  ".join(f"{key} {row[key]:.2f}" for key in SHOWN if row.get(key) is not None)
        print(f"  {name:26s} {shown} {row['outcome']}", flush=True)
    return figures


SHOWN = ("accuracy", "worst_group", "disparity", "flips", "flips_worst_group", "kept", "times_float")


def summary(students: list[dict]) -> dict:
    """Mean over students, by dialect and network: change of accuracy, worst group and gap, flips, operators, time."""
    keys = [f"{key}_change" for key in CHANGES] + ["flips", "flips_worst_group", "kept", "times_float"]
    table: dict = {}
    for group in sorted({(one["dialect"], network) for one in students for network in (one["network"], "all")}):
        mine = [
            one["variants"] for one in students if one["dialect"] == group[0] and group[1] in (one["network"], "all")
        ]
        names = dict.fromkeys(name for rows in mine for name in rows)
        for name in names:
            rows = [variants[name] for variants in mine if name in variants]
            values = {key: [row[key] for row in rows if row.get(key) is not None] for key in keys}
            means = {key: float(np.mean(found)) for key, found in values.items() if found}
            outcomes = {word: sum(row["outcome"] == word for row in rows) for word in ("pass", "inconclusive", "fail")}
            table.setdefault(" ".join(group), {})[name] = {**means, **outcomes, "n": len(rows)}
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fairface", help="FairFace's folder")
    parser.add_argument("--students", type=Path, default=Path("runs/fair-students"))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--data", nargs="+", default=list(DATA), choices=list(DATA))
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--dialects", nargs="+", default=["ort-cpu"], choices=["ort-cpu", "tensorrt"])
    parser.add_argument("--train-only", action="store_true", help="Make the students that are missing, nothing else.")
    parser.add_argument("--ready-only", action="store_true", help="Leave out students that are not trained yet.")
    parser.add_argument("--collect", action="store_true", help="Write the figures that are there, make no new ones.")
    parser.add_argument("--without-nncf", action="store_true", help="Leave its row out: it can take very long.")
    parser.add_argument("--time", action="store_true", help="Time the variants of the figures that are there anew.")
    args = parser.parse_args()
    methods.one_thread()
    args.students.mkdir(parents=True, exist_ok=True)
    students: list[dict] = []
    for seed, data, network in [(s, d, n) for s in range(args.seeds) for d in args.data for n in args.networks]:
        stem = args.students / f"{data}-{network}-{seed}"
        known = {dialect: kept(stem, dialect) for dialect in args.dialects}
        for figures in filter(None, known.values()):
            if args.time and figures["dialect"] in OPTIMISED:
                timed(stem, figures)
                write_json(figures_of(stem, figures["dialect"]), figures)
            students.append(figures)
        missing = [dialect for dialect, figures in known.items() if not figures]
        if args.collect or not missing or (args.ready_only and not stem.with_suffix(".json").exists()):
            continue
        made = student(args.students, data, network, seed, args.fairface)
        for dialect in [] if args.train_only else missing:
            students.append(one_student(made, data, network, seed, dialect, not args.without_nncf))
            if dialect in OPTIMISED:
                timed(stem, students[-1])
            write_json(figures_of(stem, dialect), students[-1])
            common.write("fair-quantization", record(students))
    common.write("fair-quantization", record(students))


def figures_of(stem: Path, dialect: str) -> Path:
    """Where a student's figures are kept."""
    return stem.with_name(f"{stem.name}-{dialect}.figures.json")


def kept(stem: Path, dialect: str) -> dict | None:
    """A student's figures, if they were measured before."""
    path = figures_of(stem, dialect)
    return json.loads(path.read_text()) if path.exists() else None


def one_student(made: tuple, data: str, network: str, seed: int, dialect: str, nncf: bool) -> dict:
    """All figures of a student in a dialect."""
    print(f"{data} {network} seed {seed} {dialect}", flush=True)
    case = Case(*made, dialect)
    rows = {name: len(at) for name, at in case.examples.rows.items()}
    about = {"data": data, "network": network, "seed": seed, "dialect": dialect, "rows": rows}
    simple(case)
    chosen(case)
    if nncf and dialect in OPTIMISED and not why_not():
        try:
            by_accuracy(case)
        except Exception as error:  # a tool beside ours that fails leaves its row out, with the reason
            about["NNCF failed"] = f"{type(error).__name__}: {error}"
    about["student_made_by"] = json.loads(made[2].with_suffix(".json").read_text())
    about["defaults_over_half_a_tolerance_on_ranking_rows"] = case.over
    return {**about, "variants": measured(case)}


def record(students: list[dict]) -> dict:
    """What is written: the settings, a table of means, every student."""
    return {
        "task": {"trifeature": "shape by colour family, 32 px", "fairface": "gender by race, 64 px"},
        "fairface_training_rows_kept_of_other_races": KEPT_SHARE,
        "networks": NETWORKS,
        "ranking_rows": RANKING_ROWS,
        "choosing_rows": CHOOSING_ROWS,
        "most_units_in_float": MOST,
        "share_of_tolerance_used_by_the_search": TOLERANCE_FRACTION,
        "compared_with": {name: installed(name) for name in ("nncf", "openvino")},
        "skipped": {"NNCF, accuracy": without_nncf(students), "ModelOpt": MODELOPT},
        "summary": summary(students),
        "students": students,
    }


def installed(name: str) -> str | None:
    """The version of a package, None where it is not there."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def without_nncf(students: list[dict]) -> dict[str, str]:
    """The students that have no row of NNCF, with the reason."""
    simulated = "OpenVINO runs its model, so the row stands with ort-cpu"
    return {
        " ".join(str(one[key]) for key in ("data", "network", "seed", "dialect")): simulated
        if one["dialect"] not in OPTIMISED
        else one.get("NNCF failed", why_not() or "left out with --without-nncf")
        for one in students
        if "NNCF, accuracy" not in one["variants"]
    }


MODELOPT = "not run: it pins onnxruntime-gpu and an older onnx, and needs an environment of 2 GB of its own"

if __name__ == "__main__":
    main()
