"""Any timm classifier whose logits are linear in its penultimate features."""

import difflib
from typing import Any

import timm
import torch
from timm.models import PretrainedCfg
from torch import Tensor, nn

from edgefair.errors import RecipeError
from edgefair.models.backbone import HALF, Backbone, NetworkSpec, narrow_new_head
from edgefair.models.pretrained import published
from edgefair.tensors import Output

# Networks of several heads, or of one that is no linear layer: each way gives features and logits, and the one that
# gives the network's own logits is taken.


def _linear(network: Any, last):
    features = network.forward_head(last, pre_logits=True)  # [B, D]
    return features, network.get_classifier()(features)


def _convolution(network: Any, last):
    features = network.forward_head(last, pre_logits=True)
    return features, network.get_classifier()(features[:, :, None, None]).flatten(1)


def _whole_head(network: Any, last):
    features = network.forward_head(last, pre_logits=True)
    return features, network.head(features)


def _inner_layer(network: Any, last):
    features = network.forward_head(last, pre_logits=True)
    return features, network.get_classifier().fc(features)


def _mean_of_heads(network: Any, last):
    features = network.forward_head(last, pre_logits=True)
    heads = network.get_classifier()
    return features, sum(head(features) for head in heads) / len(heads)


def _head_for_each_branch(network: Any, last):
    features, heads = network.forward_head(last, pre_logits=True), network.get_classifier()
    parts = features.split([head.in_features for head in heads], dim=1)
    return features, sum(head(part) for head, part in zip(heads, parts, strict=True)) / len(heads)


def _head_for_each_token(network: Any, last):
    heads = network.get_classifier()
    tokens = [network.head_drop(last[:, index]) for index in range(len(heads))]
    # Both tokens side by side are what the heads read: their mean would not give the logits.
    return torch.cat(tokens, 1), sum(head(token) for head, token in zip(heads, tokens, strict=True)) / len(heads)


WAYS = (
    _linear,
    _convolution,
    _whole_head,
    _inner_layer,
    _mean_of_heads,
    _head_for_each_branch,
    _head_for_each_token,
)


class TimmBackbone(Backbone):
    """A timm network; maps are those of up to its last four stages. `side` is that of the images it is tried on.

    Raises RecipeError where it cannot take such images, or its logits cannot be had from penultimate features.
    """

    def __init__(self, network: Any, side: int | None = None):
        super().__init__()
        self.network: Any = network  # of timm, which has methods of its own
        self.channels_last = str(getattr(network, "output_fmt", "NCHW")).endswith("NHWC")
        self.read, self.stages = self._try(torch.rand(2, 3, *(side or _side(network),) * 2))
        if not self.stages and not self._last_map:
            self.no_maps = f"{type(network).__name__} of timm gives no stage maps [B, K, H, W]"

    @torch.no_grad()
    def _try(self, x: Tensor):
        """The way to read this network's head, and the stages that give maps."""
        training, network = self.network.training, self.network.eval()
        heads = nn.ModuleList([*self._classifiers(), *(m for m in [getattr(network, "head", None)] if m is not None)])
        tensors = [t for t in (*heads.parameters(), *heads.buffers()) if t.is_floating_point()]
        before = [tensor.clone() for tensor in tensors]
        for tensor in tensors:  # a head at zero, or a normalisation that still does nothing, would agree with any way
            tensor.add_(torch.rand_like(tensor))
        try:
            expected, last = network(x), network.forward_features(x)
        except Exception as error:  # whatever its layers raise
            raise RecipeError(
                f"the network cannot take images of {x.shape[-1]} px ({type(error).__name__}: {error}). Set "
                "data.image_size to a side that it takes."
            ) from error
        way = next((way for way in WAYS if _agrees(way, network, last, expected)), None)
        if way is None:
            raise RecipeError(
                f"the logits of {type(network).__name__} are not a linear function of its penultimate features (it "
                "adds those of other places, or returns something else), so a feature loss would teach another "
                "network. Choose another of the family."
            )
        self._last_map = isinstance(last, Tensor) and last.ndim == 4
        stages = _stage_names(network)[-4:] if hasattr(network, "forward_intermediates") else ()
        stages = stages if stages and _gives_maps(network, x, last, len(stages)) else ()
        for tensor, value in zip(tensors, before, strict=True):
            tensor.copy_(value)
        network.train(training)
        return way, stages

    def forward(self, x: Tensor, all_maps: bool = False) -> Output:
        if all_maps and self.stages:
            # Without `norm`, the last map is what the last stage gives and not what the head reads.
            last, maps = self.network.forward_intermediates(x, indices=len(self.stages))
        else:
            last = self.network.forward_features(x)
            maps = (last.movedim(3, 1) if self.channels_last else last,) if self._last_map else None
        features, logits = self.read(self.network, last)
        return Output(logits, features, maps and tuple(maps))

    def map_names(self, all_maps: bool = False) -> tuple[str, ...]:
        """Modules of the network; without `all_maps` the one map is what the method `forward_features` returns."""
        if all_maps and self.stages:
            return self.stages
        return ("forward_features",) if self._last_map else ()

    def heads(self) -> tuple[nn.Module, ...]:
        return (self.network.head,) if self.read is _whole_head else self._classifiers()

    def _classifiers(self) -> tuple[nn.Module, ...]:
        found = self.network.get_classifier()
        return tuple(found) if isinstance(found, tuple | list | nn.ModuleList) else (found,)


def _agrees(way, network: Any, last, expected: Tensor) -> bool:
    try:
        features, logits = way(network, last)
    except (TypeError, AttributeError, RuntimeError, IndexError, NotImplementedError):
        return False
    shapes = features.ndim == 2 and logits.shape == expected.shape
    return shapes and torch.allclose(logits, expected, rtol=1e-4, atol=1e-5)


def _gives_maps(network: Any, x: Tensor, last, count: int) -> bool:
    """Whether the taps give that many maps, and what the head reads as without them."""
    try:
        tapped, maps = network.forward_intermediates(x, indices=count)
    except (TypeError, ValueError, AssertionError, RuntimeError):
        return False
    same = isinstance(last, Tensor) and isinstance(tapped, Tensor) and torch.equal(last, tapped)
    return same and len(maps) == count and all(isinstance(part, Tensor) and part.ndim == 4 for part in maps)


def _stage_names(network: Any) -> tuple[str, ...]:
    """The modules that end timm's stages, first to last."""
    stages = getattr(network, "feature_info", None) or []
    return tuple(stages.module_name()) if hasattr(stages, "module_name") else tuple(s["module"] for s in stages)


def _side(network: Any) -> int:
    """A side of images that the network takes: its own, or a small one where it takes any."""
    given = network.pretrained_cfg
    own = given.get("input_size", (3, 224, 224))[-1]
    return own if given.get("fixed_input_size") else min(own, 96)


def make(network_spec: NetworkSpec) -> tuple[Backbone, tuple, tuple]:
    """The network of that name with its mean and standard deviation; raises RecipeError or ArtefactError."""
    if not timm.is_model(network_spec.name):
        close = difflib.get_close_matches(network_spec.name, timm.list_models(), n=6, cutoff=0.4)
        known = f"some of timm's: {', '.join(close)}" if close else "timm has none of a similar name; one is resnet18"
        raise RecipeError(f"unknown network 'timm:{network_spec.name}'; {known}.")
    given = _published_settings(network_spec.name).to_dict()
    fixed = bool(given.get("fixed_input_size")) and network_spec.side not in (None, given["input_size"][-1])
    backbone = TimmBackbone(_network(network_spec, {"img_size": network_spec.side} if fixed else {}), network_spec.side)
    backbone.options = {"image_size": network_spec.side} if fixed else {}
    if not (network_spec.pretrained or network_spec.weights):
        narrow_new_head(backbone.heads())
    return backbone, given.get("mean", HALF[0]), given.get("std", HALF[1])


def _published_settings(name: str) -> PretrainedCfg:
    found = timm.get_pretrained_cfg(name)
    assert found is not None  # of every name that timm knows
    return found


def _network(network_spec: NetworkSpec, size: dict) -> nn.Module:
    build = {"num_classes": network_spec.num_classes, **size}
    try:
        if network_spec.pretrained or network_spec.weights:
            return published(network_spec, build)
        return timm.create_model(network_spec.name, **build)
    except TypeError as error:
        if "img_size" not in str(error):
            raise
        own = _published_settings(network_spec.name).input_size[-1]
        raise RecipeError(
            f"'timm:{network_spec.name}' takes images of {own} px only; the data has {network_spec.side} px. Set "
            f"data.image_size to {own}, or choose another network."
        ) from error
