"""Why debiasing harms on faces: how much of what a strategy estimates from a batch of many small cells is noise.

    python benchmarks/cell_noise.py FAIRFACE_FOLDER --runs RUNS [--rows 9000] [--epochs 8] [--seed 0] [--batches 100]

The plain student of what_works.py (FairFace, gender by race, 14 cells; RUNS holds its networks) looks at batches of
its training rows. Each quantity is computed on the batch, on the same batch with groups permuted in each class (what is
left then is noise), and, where it is defined, on all training rows at once. The adversary takes its three steps on each
batch as published: what it knows of the groups, beside a guess from the class alone, is measured on the rows that it
has just learned from and on the next ones.
"""

import argparse
from pathlib import Path

import common
import methods
import numpy as np
import torch
import what_works
from torch.nn import functional
from trials import Trials

from edgefair.data import load_examples
from edgefair.losses.mfd import group_mmd
from edgefair.recipe.strategies import AdversarialSettings
from edgefair.seeds import generator
from edgefair.strategies.adversary import Adversary
from edgefair.strategies.bird import group_loss_gap
from edgefair.strategies.cell_averages import CellAverages
from edgefair.strategies.intra import batch_disparity
from edgefair.training.teacher import outputs

TASK = "gender-race"


def permuted(labels: torch.Tensor, groups: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Groups dealt anew inside each class."""
    dealt = groups.clone()
    for c in labels.unique():
        at = torch.nonzero(labels == c)[:, 0]
        dealt[at] = groups[at[torch.from_numpy(rng.permutation(len(at)))]]
    return dealt


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="holds fairface_label_train.csv and fairface_label_val.csv")
    parser.add_argument("--runs", type=Path, required=True, help="folder of trained networks")
    parser.add_argument("--rows", type=int, default=9000)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batches", type=int, default=100)
    parser.set_defaults(quick=False)
    args = parser.parse_args()
    methods.one_thread()
    settings = what_works.recipe_of(args, TASK, args.seed, what_works.TWIN)
    recipe = methods.recipe_of(settings)
    examples, trials = load_examples(recipe.data, args.seed, methods.QUIET), Trials(args.runs, methods.QUIET)
    teacher, _ = trials.teacher(settings, examples)
    student, _ = trials.student(settings, examples, teacher)
    rows, cpu = examples.rows["train"], torch.device("cpu")
    seen, taught = (outputs(model, examples.images, rows, cpu) for model in (student, teacher))
    labels, groups = (torch.from_numpy(part[rows]) for part in (examples.labels, examples.groups))
    figures = {
        "task": TASK,
        "rows": len(rows),
        "cells": len(examples.class_names) * len(examples.group_names),
        "batches": args.batches,
        "seed": args.seed,
        **noise(seen, taught, labels, groups, len(examples.group_names), args),
    }
    common.write("cell-noise", figures)


def noise(seen, taught, labels, groups, num_groups: int, args) -> dict:
    """The figures, by size of batch."""
    num_classes, made = seen.logits.shape[1], {}
    quantities = {
        "bird": lambda at, dealt: group_loss_gap(seen.logits[at], labels[at], dealt, num_groups),
        "intra": lambda at, dealt: batch_disparity(seen.logits[at], labels[at], dealt, num_groups),
        "mfd": lambda at, dealt: group_mmd(
            seen.features[at], taught.features[at], labels[at], dealt, num_classes, num_groups
        ),
    }
    everything = torch.arange(len(labels))
    for size in (64, 256):
        rng = generator(args.seed, "cell noise", size)
        values = {name: ([], []) for name in quantities}
        for _ in range(args.batches):
            at = torch.from_numpy(rng.permutation(len(labels))[:size])
            dealt = permuted(labels[at], groups[at], rng)
            for name, quantity in quantities.items():
                values[name][0].append(float(quantity(at, groups[at])))
                values[name][1].append(float(quantity(at, dealt)))
        made[f"batch_{size}"] = {
            name: {
                "batch": float(np.mean(own)),
                "permuted": float(np.mean(dealt)),
                "noise_share": float(np.mean(dealt) / np.mean(own)),
            }
            for name, (own, dealt) in values.items()
        }
    for name in ("bird", "intra"):
        made.setdefault("all_rows", {})[name] = float(quantities[name](everything, groups))
    return made | {
        "running": running(seen, labels, groups, num_groups, args),
        "adversary": adversary(seen, labels, groups, num_groups, args),
    }


def running(seen, labels, groups, num_groups: int, args) -> dict:
    """L_o by running means over 50 batches of 64: as it is, and with groups permuted."""
    rng, sums = generator(args.seed, "cell noise", "running"), {}
    for name in ("batch", "permuted"):
        averages = CellAverages(seen.logits.shape[1], num_groups, 50)
        for _ in range(3 * 50):
            at = torch.from_numpy(rng.permutation(len(labels))[:64])
            own = groups[at] if name == "batch" else permuted(labels[at], groups[at], rng)
            averages.update(functional.cross_entropy(seen.logits[at], labels[at], reduction="none"), labels[at], own)
        gaps = averages.gaps()
        sums[name] = float((gaps.reliability * gaps.gap).abs().amax(1).sum())
    return {"bird": sums}


def adversary(seen, labels, groups, num_groups: int, args) -> dict:
    """Nats that an adversary knows beyond the class: on rows that it just learned from, and on the next ones."""
    given, rng = AdversarialSettings(), generator(args.seed, "cell noise", "adversary")
    torch.manual_seed(args.seed)
    network = Adversary(seen.logits.shape[1], given.adversary_hidden, seen.logits.shape[1], num_groups, True)
    optimizer = torch.optim.Adam(network.parameters(), lr=given.adversary_lr)
    count = torch.zeros(seen.logits.shape[1], num_groups).index_put_((labels, groups), torch.ones(len(labels)), True)
    prior = -torch.log(count / count.sum(1, keepdim=True))[labels, groups]
    known: dict[str, list[float]] = {"same_rows": [], "next_rows": []}
    for step in range(10 * args.batches):
        at = torch.from_numpy(rng.permutation(len(labels))[:64])

        def loss(at=at):
            return functional.cross_entropy(network(seen.logits[at], labels[at]), groups[at])

        if step >= 5 * args.batches:  # it has had time to learn
            known["next_rows"].append(float(prior[at].mean() - loss().detach()))
        for _ in range(given.adversary_steps):
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()
        if step >= 5 * args.batches:
            known["same_rows"].append(float(prior[at].mean() - loss().detach()))
    return {name: float(np.mean(values)) for name, values in known.items()}


if __name__ == "__main__":
    main()
