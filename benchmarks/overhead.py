"""What edgefair adds to the arithmetic: training loop, predictor, rendering, start-up of the command line.

    python benchmarks/overhead.py [--repeats 7]

Each pair is measured side by side, alternating, in one process; the figure is the median of the ratios of neighbours.
Claims: the training loop reaches 0.95 of the images/s of a bare loop doing the same arithmetic on preloaded tensors;
the predictor 0.95 of a bare session.run loop; `edgefair --help` takes under 0.3 s.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import common
import numpy as np
import onnxruntime
import torch
from torch.nn import functional

from edgefair.data import load_examples
from edgefair.data.readers.trifeature import factors, render
from edgefair.export.onnx_export import export_onnx
from edgefair.log import Log
from edgefair.losses.gradient_reversal import reverse_gradient
from edgefair.losses.rkd import angle_loss, distance_loss
from edgefair.models import create
from edgefair.recipe import parse
from edgefair.runtimes import load_runtime, predict_rows
from edgefair.seeds import generator
from edgefair.strategies.optim import schedule
from edgefair.training.assemble import TrainingSettings, build_training
from edgefair.training.loop import train_epoch

ROWS = 8000  # the default: what is done once an epoch must weigh what it weighs there


def alternate(ours: Callable[[], None], bare: Callable[[], None], repeats: int) -> dict:
    """Seconds of both, taken in turns, and the median of bare / ours (1: nothing is lost)."""
    seconds = {"ours": [], "bare": []}
    for turn in range(repeats + 1):
        for name, work in (("ours", ours), ("bare", bare)) if turn % 2 else (("bare", bare), ("ours", ours)):
            started = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - started)
    seconds = {name: values[1:] for name, values in seconds.items()}  # the first turn warms up
    ratios = [b / o for o, b in zip(seconds["ours"], seconds["bare"], strict=True)]
    return {
        "relative_speed": common.spread(ratios),
        **{f"{name}_seconds": common.spread(v) for name, v in seconds.items()},
    }


def training(repeats: int) -> dict:
    """An epoch of the default student, loss and strategy, against the same arithmetic written straight down."""
    recipe = parse({"data": {"train_rows": ROWS, "validation_rows": 100, "gate_rows": 100, "meta_rows": 0}})
    examples = load_examples(recipe.data, 0, Log(quiet=True))
    device = torch.device("cpu")

    def fresh():
        networks = create("cifar:resnet8", 10, 0), create("cifar:resnet20", 10, 1)
        return build_training(TrainingSettings.of(recipe), examples, *networks, 0, device)

    strategy, feed = fresh()
    twin, _ = fresh()
    batches = list(feed.epoch(1))
    teachers = [twin.context.teacher(batch) for batch in batches]
    log = Log(quiet=True)
    result = alternate(
        lambda: train_epoch(strategy, feed, 1, log, ""), lambda: bare_epoch(twin, batches, teachers), repeats
    )
    return {
        "rows": ROWS,
        "batch_size": recipe.train.batch_size,
        "student": "cifar:resnet8",
        "loss": "rkd",
        "strategy": "adversarial",
        **result,
    }


def bare_epoch(twin, batches, teachers) -> None:
    """Cross-entropy, RKD and a reversed adversary on tensors that are already there; no log, no checks."""
    student, adversary, recipe = twin.context.student, twin.adversary, twin.context.strategy
    student.train()
    for batch, teacher in zip(batches, teachers, strict=True):
        output = student(batch.images)
        for _ in range(recipe.adversary_steps - 1):
            twin.adversary_optimizer.zero_grad(set_to_none=True)
            functional.cross_entropy(adversary(output.logits.detach(), batch.labels), batch.groups).backward()
            twin.adversary_optimizer.step()
        loss = functional.cross_entropy(output.logits, batch.labels)
        loss = (
            loss
            + 25 * distance_loss(output.features, teacher.features)
            + 50 * angle_loss(output.features, teacher.features)
        )
        guess = adversary(reverse_gradient(output.logits, recipe.lam), batch.labels)
        loss = loss + functional.cross_entropy(guess, batch.groups)
        for group in twin.optimizer.param_groups:
            group["lr"] = twin.context.train.lr * schedule(twin.global_step, twin.context.steps)
        twin.optimizer.zero_grad(set_to_none=True)
        twin.adversary_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        twin.optimizer.step()
        twin.adversary_optimizer.step()


def prediction(repeats: int) -> dict:
    """Logits of 4,000 memory-mapped images through the runtime `ort`, against session.run on slices of an array."""
    images = np.random.default_rng(0).integers(0, 256, (4000, 3, 32, 32), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.onnx"
        export_onnx(create("cifar:resnet8", 10, 0), images, parse({}).export, path, {})
        np.save(Path(folder) / "images.npy", images)
        mapped = np.load(Path(folder) / "images.npy", mmap_mode="r")
        runtime, rows = load_runtime("ort", path, threads=1), np.arange(len(images))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

        def bare():
            for start in range(0, len(images), 64):
                session.run(["logits"], {"images": images[start : start + 64]})

        result = alternate(lambda: predict_rows(runtime, mapped, rows, lambda _: None), bare, repeats)
    return {"rows": len(images), "batch_size": 64, "threads": 1, **result}


def rendering() -> dict:
    """Images per second of the trifeature renderer, the default and the papers' geometry, cache not used."""
    result = {}
    for name, rows in (("small", 10_000), ("paper", 500)):
        recipe = parse({"data": {"geometry": name}}).data
        started = time.perf_counter()
        for _ in render(factors(rows, 0.5, generator(0, "benchmark")), recipe, generator(0, "benchmark")):
            pass
        seconds = time.perf_counter() - started
        result[name] = {"side": recipe.image_size, "images": rows, "seconds": seconds, "images_per_s": rows / seconds}
    return result


def start_up(repeats: int) -> dict:
    """Seconds of `edgefair --help`, beside a Python that does nothing."""
    script = shutil.which("edgefair", path=str(Path(sys.executable).parent))
    commands = {"edgefair --help": [script, "--help"], "python -c pass": [sys.executable, "-c", "pass"]}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(repeats + 1):
        for name, command in commands.items():
            started = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            seconds[name].append(time.perf_counter() - started)
    return {name: common.spread(values[1:]) for name, values in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    common.write(
        "overhead",
        {
            "training_loop": training(repeats),
            "predictor": prediction(repeats),
            "rendering": rendering(),
            "start_up_seconds": start_up(repeats),
        },
    )


if __name__ == "__main__":
    main()
