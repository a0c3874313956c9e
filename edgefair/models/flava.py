"""FLAVA's image encoder: Singh et al., "FLAVA: a foundational language and vision alignment model" (CVPR 2022)."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgefair.errors import ArtefactError, RecipeError, require
from edgefair.log import say_retries_once
from edgefair.models.backbone import Backbone, NetworkSpec
from edgefair.tensors import Output

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # CLIP's, as FLAVA uses
KEPT = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "layer_norm_eps",
    "image_size",
    "patch_size",
    "qkv_bias",
)


class FlavaBackbone(Backbone):
    """A FLAVA image encoder of transformers under a linear head.

    Features are the class token of the last layer, after its normalisation; maps are the patch tokens after each of the
    last four layers, laid out on their grid.
    """

    def __init__(self, encoder: Any, num_classes: int):
        super().__init__()
        self.encoder: Any = encoder  # of transformers
        self.head = nn.Linear(encoder.config.hidden_size, num_classes)
        self.layers = encoder.config.num_hidden_layers
        self.options = {"config": {name: getattr(encoder.config, name) for name in KEPT}}

    def forward(self, x: Tensor, all_maps: bool = False) -> Output:
        config = self.encoder.config
        resized = x.shape[-1] != config.image_size
        seen = self.encoder(x, output_hidden_states=all_maps, interpolate_pos_encoding=resized)
        features = seen.last_hidden_state[:, 0]  # [B, D]
        side = x.shape[-1] // config.patch_size
        states = seen.hidden_states[1:][-4:] if all_maps else (seen.last_hidden_state,)
        maps = tuple(tokens[:, 1:].transpose(1, 2).unflatten(2, (side, side)) for tokens in states)
        return Output(self.head(features), features, maps)

    def map_names(self, all_maps: bool = False) -> tuple[str, ...]:
        if not all_maps:
            return ("encoder.layernorm",)
        return tuple(f"encoder.encoder.layer.{index}" for index in range(self.layers))[-4:]

    def heads(self) -> tuple[nn.Module, ...]:
        return (self.head,)


def make(network_spec: NetworkSpec) -> tuple[Backbone, tuple, tuple]:
    """The encoder of a hub name or folder with its mean and standard deviation.

    Without published weights its size is that of facebook/flava-full, or of the folder. Raises RecipeError or
    ArtefactError.
    """
    transformers = require("transformers", "flava", f"the network 'flava:{network_spec.name}'")
    say_retries_once()
    if network_spec.weights:
        raise RecipeError(
            f"weights = '{network_spec.weights}' is not for FLAVA: save its folder (config.json and model.safetensors) "
            "and name that folder as flava:FOLDER, with pretrained set to true."
        )
    try:
        if network_spec.pretrained:
            encoder = transformers.FlavaImageModel.from_pretrained(network_spec.name, add_pooling_layer=False)
        else:
            encoder = transformers.FlavaImageModel(_config(transformers, network_spec), add_pooling_layer=False)
    except (OSError, ValueError, RuntimeError) as error:
        raise ArtefactError(
            f"the FLAVA encoder '{network_spec.name}' cannot be loaded ({error}). Offline its folder must be there: "
            "connect once, so that transformers keeps it in its cache (HF_HOME), or copy its config.json and "
            "model.safetensors into a folder and name that as flava:FOLDER; or set pretrained to false."
        ) from error
    side = network_spec.image_size or encoder.config.image_size
    if side % encoder.config.patch_size:
        raise RecipeError(
            f"'flava:{network_spec.name}' cuts images into patches of {encoder.config.patch_size} px; {side} px are no "
            "whole number of them. Set data.image_size to a multiple."
        )
    encoder.config.return_dict = True
    return FlavaBackbone(encoder.to(torch.float32), network_spec.num_classes), MEAN, STD


def _config(transformers, network_spec: NetworkSpec):
    if network_spec.options:
        return transformers.FlavaImageConfig(**network_spec.options["config"])
    if Path(network_spec.name).is_dir():
        return transformers.FlavaImageConfig.from_pretrained(network_spec.name)
    return transformers.FlavaImageConfig()
