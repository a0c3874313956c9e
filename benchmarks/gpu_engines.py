"""Does TensorRT-RTX take this GPU? Build every precision of a run's student, run it, compare and time it.

    edgefair distill-and-export --target tensorrt-rtx --precision fp32 --precision fp16 --precision int8 --out RUN
    python benchmarks/gpu_engines.py RUN/artefacts [--calls 300]

For each ONNX file of RUN/artefacts and each way to name compute capabilities (edgefair's own choice; only that of this
GPU; none, which the library takes as all it supports): what get_engine_validity says, whether it loads and runs, how
far its logits are from ONNX Runtime's on the CPU with the same file and how many predictions are the same, and the
latency of single images and of full batches. Every case has a process of its own, so that one that dies is recorded.
Writes benchmarks/results/DEVICE-rtx.json; says why and ends with 0 where there is no GPU or no TensorRT-RTX.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common
import numpy as np

from edgefair.errors import EdgefairError
from edgefair.recipe import DeploySettings
from edgefair.runtimes import load_runtime, manifest, runtime_class
from edgefair.runtimes.gpu import describe_gpu
from edgefair.runtimes.trt import rtx

NAME = "tensorrt-rtx"
FILES = {
    "fp32": "student.onnx",
    "fp16": "student.fp16.onnx",
    "int8": "student.int8.tensorrt.onnx",
    "fp8": "student.fp8.onnx",
}
ROWS, WARMUP, BATCH = 256, 20, 32


def only_this_gpu(trt, config, datatypes) -> list[str]:
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.CURRENT, 0)
    return ["that of this GPU"]


def none_named(trt, config, datatypes) -> list[str]:
    return [rtx.EVERY]


WAYS = {"edgefair": rtx.set_compute_capabilities, "current": only_this_gpu, "none": none_named}


def case(source: Path, precision: str, way: str, calls: int) -> dict:
    """What became of one file built in one way; a refusal is an answer too."""
    rtx.set_compute_capabilities = WAYS[way]
    runtime = runtime_class(NAME)
    with tempfile.TemporaryDirectory() as folder:
        try:
            built = runtime.build(source, Path(folder), f"student.{precision}.{NAME}", DeploySettings(max_batch=BATCH))
        except EdgefairError as error:
            return {"built": False, "said": str(error)}
        entries = [
            manifest.entry(f"b{one.batch}", one.path, NAME, NAME, precision, batch=one.batch, facts=one.facts)
            for one in built
        ]
        manifest.write(Path(folder), entries)
        answers = {"batch" if one.batch == 0 else "single": engine(one, source, calls) for one in built}
    return {"built": True, "compute_capabilities": built[0].facts["compute_capabilities"], **answers}


def engine(built, source: Path, calls: int) -> dict:
    """Run one engine against ONNX Runtime on the CPU."""
    about = {key: built.facts[key] for key in ("seconds", "bytes", "layers", "warnings")}
    try:
        runtime = load_runtime(NAME, built.path)
        images = np.random.default_rng(0).integers(0, 256, (ROWS, 3, runtime.size, runtime.size), dtype=np.uint8)
        logits = runtime.predict(images)
    except EdgefairError as error:
        return {**about, "ran": False, "said": str(error)}
    expected = load_runtime("ort", source).predict(images)
    return {
        **about,
        "ran": True,
        "validity": runtime.loaded.validity,
        "largest_difference": float(np.abs(logits - expected).max() / np.abs(expected).max()),
        "same_class": float((logits.argmax(1) == expected.argmax(1)).mean()),
        "rows": ROWS,
        "latency_ms": latency(runtime, images[: built.batch or BATCH], calls),
        "gpu": describe_gpu(),
    }


def latency(runtime, images: np.ndarray, calls: int) -> dict:
    """Of whole calls: copy in, compute, copy out."""
    times = []
    for call in range(WARMUP + calls):
        started = time.perf_counter()
        runtime.predict(images)
        if call >= WARMUP:
            times.append((time.perf_counter() - started) * 1e3)
    points = {f"p{point}": float(np.percentile(times, point)) for point in (50, 90, 99)}
    return {**points, "calls": calls, "batch": len(images)}


def apart(source: Path, precision: str, way: str, calls: int) -> dict:
    """The case in a process of its own; how it died, where it did."""
    command = [sys.executable, __file__, str(source), "--calls", str(calls), "--case", precision, way]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    return {"built": None, "said": f"the process ended with {done.returncode}: {done.stderr[-500:]}"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="the artefacts folder of a run")
    parser.add_argument("--calls", type=int, default=300, help="timed calls of each engine")
    parser.add_argument("--case", nargs=2, metavar=("PRECISION", "WAY"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if reason := runtime_class(NAME).run_unavailable_reason():
        print(f"nothing measured: {reason}")
        return
    if arguments.case:
        print(json.dumps(case(arguments.source, *arguments.case, arguments.calls)))
        return
    found = {kind: arguments.source / file for kind, file in FILES.items() if (arguments.source / file).exists()}
    if not found:
        parser.error(f"{arguments.source} holds none of {', '.join(FILES.values())}")
    answers = {kind: {way: apart(path, kind, way, arguments.calls) for way in WAYS} for kind, path in found.items()}
    gpu = describe_gpu()
    name = re.sub(r"[^a-z0-9]+", "-", gpu["device"].lower().removeprefix("nvidia ")).strip("-")
    common.write(f"{name}-rtx", {"gpu": gpu, "image_seed": 0, "engines": answers})


if __name__ == "__main__":
    main()
