"""Which learning rate fits which family of networks on few photographs: the table of edgefair/recipe/families.py.

    python benchmarks/family_rates.py FAIRFACE_FOLDER [--rows 800] [--epochs 6]

Gender on small images of FairFace, cross-entropy alone, one seed: a network of each family is trained at three rates of
AdamW, and the loss and accuracy on validation rows say which is the default. Gate rows are not looked at. Trials that
benchmarks/results/family-rates.json has are not repeated.
"""

import argparse
import json

import common
import methods
import torch

from edgefair.data import load_examples
from edgefair.models import create
from edgefair.recipe import parse
from edgefair.recipe.losses import CrossEntropySettings
from edgefair.recipe.strategies import PlainSettings
from edgefair.training.assemble import TrainingSettings, build_training
from edgefair.training.loop import make_validation, train_epoch
from edgefair.training.teacher import outputs

NAME = "family-rates"
RATES = (2e-3, 5e-4, 2e-4)
CPU = torch.device("cpu")
# Network, whether it begins from published weights, side of the images.
NETWORKS = (
    ("timm:tf_efficientnet_lite0", True, 48),
    ("timm:vit_tiny_patch16_224", False, 48),
    ("timm:efficientnet_b0", False, 32),
    ("torchvision:resnet18", False, 32),
    ("torchvision:mobilenet_v3_large", False, 32),
    ("cifar:resnet20", False, 32),
)


def trial(args, spec: str, published: bool, side: int, rate: float) -> dict:
    """The network's last epoch at this rate: training loss, validation loss and accuracy."""
    data = {"name": "fairface", "path": args.folder, "task": "gender", "group": "race", "image_size": side}
    data |= {"max_rows": args.rows, "validation_share": 0.35}
    recipe = parse({"data": data, "teacher": {"lr": rate, "epochs": args.epochs, "batch_size": 32}})
    examples = load_examples(recipe.data, 0, methods.QUIET)
    network = create(spec, len(examples.class_names), 0, published, image_size=side)
    settings = TrainingSettings(recipe.teacher, CrossEntropySettings(), PlainSettings())
    strategy, loader = build_training(settings, examples, network, None, 0, CPU)
    losses = [train_epoch(strategy, loader, at, methods.QUIET, "")["task"] for at in range(1, args.epochs + 1)]
    rows = examples.rows["validation"]
    logits = outputs(network, examples.images, rows, CPU).logits
    loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(examples.labels[rows]))
    figures = {"network": spec, "published": published, "side": side, "rate": rate, "train_losses": losses}
    accuracy = make_validation(examples, CPU)(network)["validation_accuracy"]
    return figures | {"validation_loss": float(loss), "validation_accuracy": accuracy, "validation_rows": len(rows)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--rows", type=int, default=800)
    parser.add_argument("--epochs", type=int, default=6)
    args = parser.parse_args()
    methods.one_thread()
    path = common.RESULTS / f"{NAME}.json"
    trials = json.loads(path.read_text())["trials"] if path.exists() else []
    done = {(one["network"], one["rate"]) for one in trials}
    for spec, published, side in NETWORKS:
        for rate in RATES:
            if (spec, rate) not in done:
                trials.append(trial(args, spec, published, side, rate))
                common.record(NAME, {"seeds": 1, "rows": args.rows, "epochs": args.epochs, "trials": trials})
                last = trials[-1]
                print(spec, rate, f"{last['validation_loss']:.3f} {last['validation_accuracy']:.3f}", flush=True)


if __name__ == "__main__":
    main()
