"""Which learning rate and warm-up fit which network on photographs: one small table.

A recipe takes these where it says nothing else (data sets on disk; AdamW). The rate of EfficientNets from published
weights was chosen on validation rows by benchmarks/family_rates.py, whose results name what was tried; the others are
usual ones, and for networks from random weights what was the default for all.
"""

import re
from typing import Any, NamedTuple

USUAL = {"lr": 2e-3}


class Family(NamedTuple):
    """Networks whose spec matches `pattern`, and the settings that fit them from random and from published weights."""

    name: str
    pattern: str
    random: dict[str, Any]
    published: dict[str, Any]


FAMILIES = (
    Family(
        "transformers",
        r"(^|[:_.])(vit|deit|deit3|beit|beitv2|eva|eva02|cait|swin|swinv2|mvitv2|xcit|levit|maxvit|volo|flexivit|samvit)"
        r"(_|$)|^clip:vit|^flava",
        {"lr": 5e-4, "warmup": 0.2},
        {"lr": 1e-4, "warmup": 0.2},
    ),
    Family(
        "EfficientNets, MobileNets and the like",
        r"efficientnet|mobilenet|mnasnet|mixnet|fbnet|lcnet|ghostnet|shufflenet|tinynet|spnasnet|hardcorenas",
        {},
        {"lr": 5e-4},
    ),
    Family("ResNets for small images", r"^cifar:", {}, {}),
    Family("all others", r"", {}, {"lr": 5e-4}),
)
"""The first that matches counts."""


def family(spec: str) -> Family:
    """The family of a network's spec."""
    return next(each for each in FAMILIES if re.search(each.pattern, spec))


def fitting(network: dict[str, Any], spec: str, training: dict[str, Any]) -> dict[str, Any]:
    """Learning rate and warm-up that fit a network; a frozen one trains its last layer alone, whatever it is.

    network: the nested values of [teacher] or [student]. spec: that of the network where they name none. training: the
    values that say how it is trained. Nothing for SGD, whose rates are others.
    """
    spec = str(network.get("spec", spec))
    if training.get("optimizer", "adamw") != "adamw":
        return {}
    if network.get("freeze") or spec.startswith(("file:", "onnx:")):
        return dict(USUAL)
    published = network.get("pretrained") or network.get("weights")
    chosen = family(spec)
    return USUAL | (chosen.published if published else chosen.random)
