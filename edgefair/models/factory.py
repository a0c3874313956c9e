"""Teachers and students of every family, all mapping uint8 images to Output; from a spec, or from a file of weights.

Scaling and normalisation are the first layer, so the exported graph takes uint8 NCHW and returns logits.
"""

import contextlib
import importlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from edgefair.errors import ArtefactError, RecipeError, nearest
from edgefair.files import write_bytes
from edgefair.models.backbone import NetworkSpec
from edgefair.models.classifier import Classifier, OnnxClassifier
from edgefair.models.last_layer import HEAD_BIAS, add_bias

# Families: their module is imported when one is asked for.
FAMILIES = {
    "cifar": "edgefair.models.cifar_resnet",
    "timm": "edgefair.models.timm_backbone",
    "torchvision": "edgefair.models.torchvision_backbone",
    "flava": "edgefair.models.flava",
}
# Names that papers use -> where the network is. CLIP's own weights belong to networks with its quick GELU.
ALIASES = {
    "shufflenet_v2": "torchvision:shufflenet_v2_x1_0",
    "clip:resnet50": "timm:resnet50_clip.openai",
    "clip:vit_b_32": "timm:vit_base_patch32_clip_quickgelu_224.openai",
    "flava": "flava:facebook/flava-full",
}
FROZEN_PREFIXES = ("file:", "onnx:")  # teachers that are not trained


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw initial weights from `seed`; torch's global generator is as before afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def create(
    spec: str,
    num_classes: int,
    seed: int,
    pretrained: bool = False,
    *,
    weights: str = "",
    image_size: int | None = None,
    options: dict | None = None,
) -> Classifier:
    """Build the network that `spec` names, with weights drawn from `seed` where it brings none.

    num_classes: width of the last layer. pretrained: start from published weights, which are downloaded where they are
    not in the library's cache; weights: a local file of them. image_size: side of the images, for networks that are
    built for one. options: what a family asks for beside the name. Raises RecipeError for an unknown spec or a network
    that does not fit, ArtefactError for weights that are missing or do not fit.
    """
    spec = ALIASES.get(spec, spec)
    kind, _, name = spec.partition(":")
    makers: dict[str, Callable[[NetworkSpec], Classifier]] = {"file": _file, "onnx": _onnx}
    makers |= {family: lambda network_spec: _of_family(kind, network_spec) for family in FAMILIES}
    if not name and kind not in makers:
        raise RecipeError(
            f"unknown network '{spec}'; a network is FAMILY:NAME, such as timm:resnet18, or one of "
            f"{', '.join(ALIASES)}. Families: {', '.join(sorted({*makers} - {*ALIASES}))}."
        )
    if kind not in makers or not name:
        raise RecipeError(
            f"unknown network '{spec}'; {nearest(kind, (*makers, *ALIASES))} "
            "Examples: cifar:resnet8, timm:resnet18, torchvision:resnet18, file:teacher.safetensors."
        )
    network_spec = NetworkSpec(name, num_classes, image_size, pretrained, weights, options or {})
    with seeded(seed):
        return makers[kind](network_spec)


def _of_family(kind: str, network_spec: NetworkSpec) -> Classifier:
    backbone, mean, std = importlib.import_module(FAMILIES[kind]).make(network_spec)
    return Classifier(backbone, f"{kind}:{network_spec.name}", mean, std)


def _onnx(network_spec: NetworkSpec) -> Classifier:
    from edgefair.models.onnx_teacher import OnnxBackbone, read

    content = read(Path(network_spec.name))
    return OnnxClassifier(
        OnnxBackbone(content, network_spec.num_classes, network_spec.options, network_spec.name),
        f"onnx:{network_spec.name}",
    )


def read_weights(path: Path) -> tuple[dict, dict[str, Tensor]]:
    """What save_weights wrote: a network's description and its tensors; raises ArtefactError where it is not that."""
    try:
        with safe_open(path, framework="pt") as stored:
            about = json.loads((stored.metadata() or {}).get("edgefair", "{}"))
            weights = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118 (safe_open is no mapping)
    except (OSError, ValueError, SafetensorError) as error:
        raise ArtefactError(
            f"cannot read the weights {path}: {error}. Give a whole .safetensors file that edgefair wrote."
        ) from error
    if not isinstance(about, dict) or not isinstance(about.get("spec"), str):
        raise ArtefactError(
            f"{path} does not say which network it belongs to; give a file that edgefair wrote (save_weights)."
        )
    return about, weights


def stored_classes(path: Path) -> int:
    """The number of classes of a weights file; raises ArtefactError where it cannot be read."""
    return read_weights(path)[0]["num_classes"]


def _file(network_spec: NetworkSpec) -> Classifier:
    path = Path(network_spec.name)
    about, weights = read_weights(path)
    if about["num_classes"] != network_spec.num_classes:
        raise ArtefactError(
            f"{path} holds a network for {about['num_classes']} classes; the data has {network_spec.num_classes}. Give "
            "a network of the same classes, or other data (--data, --task)."
        )
    kind, _, name = about["spec"].partition(":")
    options = about.get("options", {})
    stored = replace(network_spec, name=name, image_size=None, pretrained=False, weights="", options=options)
    if kind == "onnx":
        from edgefair.models.onnx_teacher import OnnxBackbone

        content = weights["backbone.content"].numpy().tobytes()
        return OnnxClassifier(OnnxBackbone(content, network_spec.num_classes, stored.options, str(path)), about["spec"])
    model = _of_family(kind, stored)
    if options.get(HEAD_BIAS):
        add_bias(model)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ArtefactError(f"the weights in {path} do not fit {about['spec']}: {error}") from error
    if network_spec.image_size:
        _try(model, network_spec.image_size, path)
    return model


@torch.no_grad()
def _try(model: Classifier, side: int, path: Path) -> None:
    """Raise RecipeError where a stored network cannot take images of that side."""
    try:
        model.eval()(torch.zeros(2, 3, side, side, dtype=torch.uint8))
    except Exception as error:  # whatever its layers raise
        raise RecipeError(
            f"the network {model.spec} in {path} cannot take images of {side} px ({type(error).__name__}: {error}). "
            "Set data.image_size to the side that it was trained on."
        ) from error
    model.train()


def save_weights(model: Classifier, path: Path, num_classes: int) -> None:
    """Write the weights as safetensors with the network's spec, so that `file:PATH` can build it again."""
    about = json.dumps({"spec": model.spec, "num_classes": num_classes, "options": model.backbone.options})
    tensors = {name: value.contiguous() for name, value in model.state_dict().items()}
    write_bytes(path, save(tensors, metadata={"edgefair": about}))
