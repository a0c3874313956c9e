"""What INT8 gains on this machine's processor, and what the evaluator costs beside the bare runtime.

    nice -n -15 python benchmarks/runtimes.py [--core 1] [--seconds 20] [--rounds 24]

A timm resnet18 at 224 px with weights by seed (latency does not depend on them), fp32 and INT8, under ONNX Runtime and
OpenVINO, one thread on one core, batch 1, all interleaved in one run, the first also beside itself. Claims: INT8 is at
least 2.5 times as fast as fp32 under ONNX Runtime; the predictor over memory-mapped uint8 images reaches 0.95 of the
throughput of a bare session.run loop.
"""

import argparse
import tempfile
from pathlib import Path

import common
import numpy as np
import others

from edgefair.export.onnx_export import export_onnx
from edgefair.export.quantization import quantize
from edgefair.files import sha256
from edgefair.latency.clocks import clocks, pin
from edgefair.latency.measure import BenchTarget, Design, measure
from edgefair.latency.queries import random_queries
from edgefair.latency.rounds import interleave
from edgefair.latency.rules import Rules
from edgefair.latency.speedup import speedup
from edgefair.models import create
from edgefair.recipe import parse
from edgefair.runtimes import load_runtime, predict_rows
from edgefair.seeds import generator

SIZE, SEED = 224, 0
NEEDED_SPEEDUP, NEEDED_THROUGHPUT = 2.5, 0.95
ENTRANTS = {  # name: (file, runtime, what it is compared with)
    "ort fp32": ("fp32.onnx", "ort", None),
    "ort int8": ("int8.ort-cpu.onnx", "ort", "ort fp32"),
    "openvino fp32": ("fp32.onnx", "openvino", "ort fp32"),
    "openvino int8": ("int8.openvino.onnx", "openvino", "openvino fp32"),
}


def make_files(folder: Path) -> None:
    """The fp32 file and its INT8 forms; ranges from random pixels, for speed does not depend on them."""
    recipe = parse({})
    images = generator(SEED, "benchmark", "pixels").integers(0, 256, (16, 3, SIZE, SIZE), dtype=np.uint8)
    export_onnx(create("timm:resnet18", 1000, SEED), images, recipe.export, folder / "fp32.onnx", {})
    for dialect in ("ort-cpu", "openvino"):
        quantize(folder / "fp32.onnx", folder / f"int8.{dialect}.onnx", images, dialect, recipe.quantize, 8)


def speed(folder: Path, seconds: float) -> dict:
    """Times and ratios of all entrants, and of null."""
    (folder / "null.txt").write_text("1000")
    loaded = {name: BenchTarget(load_runtime(kind, folder / file, 1)) for name, (file, kind, _) in ENTRANTS.items()}
    loaded["null"] = BenchTarget(load_runtime("null", folder / "null.txt"), timed=False)
    again = BenchTarget(load_runtime("ort", folder / "fp32.onnx", 1))
    against = {name: other for name, (*_, other) in ENTRANTS.items() if other}
    rules = Rules(seconds=seconds)
    design = Design(rules, against, ("ort fp32", again), SEED)
    record = measure(loaded, random_queries(SIZE, SEED).call_of, [1], design)
    files = {
        name: {"bytes": (folder / file).stat().st_size, "sha256": sha256(folder / file), **one.runtime.describe()}
        for (name, (file, *_)), one in zip(ENTRANTS.items(), loaded.values(), strict=False)
    }
    return {"rules": rules.to_dict(), "clocks": clocks(), "files": files, **record}


def throughput(path: Path, size: int, rows: int, rounds: int) -> dict:
    """predict_rows over a memory-mapped file beside session.run on slices of an array that is already in memory."""
    images = generator(SEED, "benchmark", "rows").integers(0, 256, (rows, 3, size, size), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "images.npy", images)
        mapped = np.load(Path(folder) / "images.npy", mmap_mode="r")
        runtime, order = load_runtime("ort", path, threads=1), np.arange(rows)
        session = others.Bare(path)

        def bare():
            for start in range(0, rows, 64):
                session.predict(images[start : start + 64])

        rules = Rules(minimum=rounds, seconds=0, rounds=rounds, warmup=1)
        calls = {"ours": lambda _: predict_rows(runtime, mapped, order, lambda _: None), "bare": lambda _: bare()}
        samples = interleave(calls, 1, rules, generator(SEED, "rows"))
    found = speedup(samples["bare"].rounds, samples["ours"].rounds, "mean", generator(SEED, "interval"))
    seconds = {name: common.spread((one.pooled / 1e3).tolist()) for name, one in samples.items()}
    about = {"rows": rows, "size": size, "batch_size": 64, "threads": 1}
    return {**about, "relative_speed": found.to_dict(), "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=24, help="of the predictor beside the bare loop")
    given = parser.parse_args()
    pin((given.core,))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_files(folder)
        small = folder / "small.onnx"
        pixels = np.zeros((8, 3, 32, 32), np.uint8)
        export_onnx(create("cifar:resnet8", 10, SEED), pixels, parse({}).export, small, {})
        found = speed(folder, given.seconds)
        predictor = {
            "resnet8 fp32, 32 px": throughput(small, 32, 1024, given.rounds),
            "resnet18 int8, 224 px": throughput(folder / "int8.ort-cpu.onnx", SIZE, 64, given.rounds),
        }
    int8 = found["artefacts"]["ort int8"]["1"]["speedup"]["p50"]
    worst = min(one["relative_speed"]["ratio"] for one in predictor.values())
    quiet = found["control"]["1"]["quiet"]
    claims = {
        "int8_speedup": {"needed": NEEDED_SPEEDUP, **int8, "met": quiet and int8["interval"][0] >= NEEDED_SPEEDUP},
        "evaluator_throughput": {"needed": NEEDED_THROUGHPUT, "value": worst, "met": worst >= NEEDED_THROUGHPUT},
    }
    about = {"network": "timm:resnet18, weights by seed, 1,000 classes", "size": SIZE, "seed": SEED, "threads": 1}
    common.write("runtimes", {**about, "claims": claims, **found, "predictor": predictor})


if __name__ == "__main__":
    main()
