"""What a training step of every loss and strategy costs beside plain supervised training of the same student.

    python benchmarks/step_cost.py [--device cpu] [--pair cifar:resnet18 cifar:resnet18] [--batch 64] [--repeats 7]

All variants take turns within one process; a ratio compares neighbours of one round, the figure is the median over
rounds. `floor` is what no distillation can avoid: the teacher's forward pass and the student's supervised step.
Claims: every loss within 10 % of its floor; BIRD's meta-gradient at least 2.5 times faster than the double backward;
a BIRD iteration at most 5 plain CKD steps.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

import common
import torch
from methods import QUIET, recipe_of
from torch.func import functional_call

from edgefair.data import load_examples
from edgefair.losses import LOSSES
from edgefair.models import create
from edgefair.strategies import STRATEGIES
from edgefair.strategies.bird import group_loss_gap, meta_gradient
from edgefair.training.assemble import TrainingSettings, build_training

SMALL = {"data.train_rows": 2000, "data.meta_rows": 400, "data.validation_rows": 100, "data.gate_rows": 100}


def build(args, loss: str, strategy: str, examples, pair: list[str], batch: int):
    """A strategy with a live teacher, in the middle of training, and one batch on the device."""
    settings = {
        "loss.name": loss,
        "strategy.name": strategy,
        "train.batch_size": batch,
        "train.augment": "crop-flip",  # a teacher that looks at every batch
        "train.precision": args.precision,
    }
    recipe, device = recipe_of(SMALL, settings), torch.device(args.device)
    teacher, student = (create(spec, 10, seed).to(device) for seed, spec in enumerate(pair))
    settings = TrainingSettings(recipe.train, recipe.loss, recipe.strategy.without_warmup())
    made, feed = build_training(settings, examples, student, teacher, 0, device)
    made.start_epoch(2)
    made.context.student.train()
    batch = next(feed.epoch(1))
    made.step(batch)  # the first step of an epoch also measures gradient norms
    return made, batch


def works(args, examples) -> dict[str, Callable[[], None]]:
    """Name -> one step of it."""
    result: dict[str, Callable[[], None]] = {}
    build_one = partial(build, examples=examples, pair=args.pair, batch=args.batch)
    supervised, batch = build_one(args, "none", "plain")
    teacher, _ = build_one(args, "ckd", "plain")
    result["supervised"] = lambda: supervised.step(batch)
    result["floor"] = lambda: (teacher.teacher_output(batch), supervised.step(batch))
    for loss in LOSSES:
        if loss != "none":
            made, own = build_one(args, loss, "plain")
            result[loss] = lambda made=made, own=own: made.step(own)
    for strategy in STRATEGIES:
        if strategy != "plain":
            for loss in ("ckd", "rkd", "fitnet") if strategy == "bird" else ("ckd",):
                made, own = build_one(args, loss, strategy)
                result[f"{loss}, {strategy}"] = lambda made=made, own=own: made.step(own)
    return result


def meta_works(args, examples, spec: str, rows: int) -> dict[str, Callable[[], None]]:
    """BIRD's meta-gradient by the forward-mode identity, and by the double backward; the loss is FitNet's."""
    made, batch = build(args, "fitnet", "bird", examples, [spec, spec], rows)
    student, gate, loss, groups = made.context.student, made.gate, made.context.loss, made.context.num_groups
    seen, meta, phi = made.teacher_output(batch), made.context.meta(0), list(made.gate.phi)

    def inner(output):
        return sum(loss.terms(output, gate(seen), batch).values())

    def outer(output):
        return group_loss_gap(output.logits, meta.labels, meta.groups, groups)

    def double_backward():
        theta = {name: p.detach().requires_grad_() for name, p in student.named_parameters()}

        def run(values, images):
            buffers = {name: b.clone() for name, b in student.named_buffers()}
            return functional_call(student, {**values, **buffers}, (images,))

        step = torch.autograd.grad(inner(run(theta, batch.images)), list(theta.values()), create_graph=True)
        ahead = {name: w - 0.1 * g for (name, w), g in zip(theta.items(), step, strict=True)}
        return torch.autograd.grad(outer(run(ahead, meta.images)), phi, allow_unused=True)

    return {
        "forward mode": lambda: meta_gradient(student, inner, outer, phi, batch.images, meta.images, 0.1),
        "double backward": double_backward,
    }


def rounds(works: dict[str, Callable], repeats: int, device: str) -> dict[str, list[float]]:
    """Seconds of every work in every round, forwards and backwards by turns; a first round warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(repeats + 1):
        for name, work in works.items() if turn % 2 else reversed(works.items()):
            _wait(device)
            started = time.perf_counter()
            work()
            _wait(device)
            seconds[name].append(time.perf_counter() - started)
    return {name: values[1:] for name, values in seconds.items()}


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def ratio(a: list[float], b: list[float]) -> dict:
    """Median, range and n of a / b, round by round."""
    return common.spread([x / y for x, y in zip(a, b, strict=True)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--pair", nargs=2, default=["cifar:resnet18", "cifar:resnet18"], help="teacher, student")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=0, help="0: as torch chooses")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    examples = load_examples(recipe_of(SMALL).data, 0, QUIET)
    seconds = rounds(works(args, examples), args.repeats, args.device)
    meta = {}
    for spec, side, rows in ((args.pair[1], 32, args.batch), ("timm:resnet18", 64, 32)):
        shown = load_examples(recipe_of(SMALL, {"data.image_size": side}).data, 0, QUIET)
        meta[f"{spec}, {side} px, batch {rows}"] = rounds(
            meta_works(args, shown, spec, rows), args.repeats, args.device
        )
    floor = seconds["floor"]
    losses = [name for name in LOSSES if name != "none"]
    over = {name: ratio(seconds[name], floor)["median"] - 1 for name in losses}
    birds = {name: ratio(seconds[name], seconds["ckd"]) for name in seconds if name.endswith("bird")}
    speedups = {name: ratio(found["double backward"], found["forward mode"]) for name, found in meta.items()}
    common.write(
        f"step-cost-{args.device}-{args.pair[1].split(':')[1]}",
        {
            "device": torch.cuda.get_device_name() if args.device == "cuda" else "cpu",
            "precision": args.precision,
            "threads": torch.get_num_threads(),
            "teacher": args.pair[0],
            "student": args.pair[1],
            "batch": args.batch,
            "side": 32,
            "repeats": args.repeats,
            "claims": {
                "losses_within_10_percent_of_floor": all(value <= 0.10 for value in over.values()),
                "meta_gradient_2.5_times_faster": {name: s["median"] >= 2.5 for name, s in speedups.items()},
                "bird_at_most_5_ckd_steps": all(bird["median"] <= 5 for bird in birds.values()),
            },
            "steps": {
                name: {
                    "images_per_s": args.batch / common.spread(values)["median"],
                    "of_supervised": ratio(values, seconds["supervised"]),
                    "of_floor": ratio(values, floor),
                }
                for name, values in seconds.items()
            },
            "bird_in_ckd_steps": birds,
            "meta_gradient": {
                name: {
                    "speedup_over_double_backward": speedups[name],
                    "seconds": {how: common.spread(values) for how, values in found.items()},
                }
                for name, found in meta.items()
            },
        },
    )


if __name__ == "__main__":
    main()
