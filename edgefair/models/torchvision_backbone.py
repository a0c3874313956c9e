"""Any torchvision classifier whose last layer is linear."""

from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from edgefair.errors import ArtefactError, RecipeError, nearest
from edgefair.models.backbone import Backbone, NetworkSpec, imagenet, narrow_new_head
from edgefair.models.pretrained import cannot_load, tensors_of
from edgefair.tensors import Output

TRUNKS = ("features", "layers", "trunk_output", "blocks")  # the module whose children are the stages; else the network


class TorchvisionBackbone(Backbone):
    """A torchvision network without its last linear layer, and that layer.

    Maps are what the last module of the trunk at each resolution gives, of the four smallest; of a vision transformer
    the tokens after each of its last four blocks. `side` is that of the images it is tried on.
    """

    def __init__(self, network: nn.Module, name: str, side: int):
        super().__init__()
        last = [path for path, module in network.named_modules() if isinstance(module, nn.Linear)][-1:]
        if not last or not _is_last(network, last[0], side):
            raise RecipeError(
                f"the logits of 'torchvision:{name}' do not come from one linear layer on penultimate features, which "
                "feature losses and adversaries need. Choose another network, such as torchvision:resnet18."
            )
        parent, _, attribute = last[0].rpartition(".")
        self.head: Any = network.get_submodule(last[0])  # the linear layer
        setattr(network.get_submodule(parent), attribute, nn.Identity())
        self.network: Any = network  # a transformer has attributes of its own
        self.channels_last = isinstance(network, torchvision.models.SwinTransformer)
        self.tokens = isinstance(network, torchvision.models.VisionTransformer)
        self.stages = self._find(side)

    def forward(self, x: Tensor, all_maps: bool = False) -> Output:
        seen: dict[str, Tensor] = {}
        stages = self.stages if all_maps else self.stages[-1:]
        hooks = [
            self.network.get_submodule(path).register_forward_hook(
                lambda _, __, output, path=path: seen.update({path: output})
            )
            for path in stages
        ]
        try:
            features = self.network(x)  # [B, D]
        finally:
            for hook in hooks:
                hook.remove()
        return Output(self.head(features), features, tuple(self._map(seen[path]) for path in stages) or None)

    def map_names(self, all_maps: bool = False) -> tuple[str, ...]:
        return self.stages if all_maps else self.stages[-1:]

    def heads(self) -> tuple[nn.Module, ...]:
        return (self.head,)

    def _map(self, output: Tensor) -> Tensor:
        if self.tokens:  # [B, 1 + side * side, K], the class token first
            side = self.network.image_size // self.network.patch_size
            return output[:, 1:].transpose(1, 2).unflatten(2, (side, side))
        return output.movedim(3, 1) if self.channels_last else output

    @torch.no_grad()
    def _find(self, side: int) -> tuple[str, ...]:
        """The modules of the trunk that end the last four resolutions, or a transformer's last four blocks."""
        if self.tokens:
            return tuple(f"encoder.layers.{name}" for name, _ in self.network.encoder.layers.named_children())[-4:]
        at: dict[int, str] = {}

        def note(path: str, output) -> None:
            if isinstance(output, Tensor) and output.ndim == 4 and (size := self._map(output).shape[-1]) > 1:
                at[size] = path

        trunk = next((f"{name}." for name in TRUNKS if hasattr(self.network, name)), "")
        children = self.network.get_submodule(trunk.rstrip(".")).named_children()
        inner = [(f"{trunk}{name}", module) for name, module in children]
        hooks = [m.register_forward_hook(lambda _, __, output, path=p: note(path, output)) for p, m in inner]
        training = self.network.training
        self.network.eval()(torch.rand(2, 3, side, side))
        self.network.train(training)
        for hook in hooks:
            hook.remove()
        return tuple(at[size] for size in sorted(at, reverse=True)[-4:])


@torch.no_grad()
def _is_last(network: nn.Module, path: str, side: int) -> bool:
    """Whether what that layer gives is what the network returns."""
    given: list[Tensor] = []
    hook = network.get_submodule(path).register_forward_hook(lambda _, __, output: given.append(output))
    training = network.training
    found = network.eval()(torch.rand(2, 3, side, side))
    network.train(training)
    hook.remove()
    return len(given) == 1 and torch.equal(given[0], found)


def make(network_spec: NetworkSpec) -> tuple[Backbone, tuple, tuple]:
    """The network of that name with its mean and standard deviation; raises RecipeError or ArtefactError."""
    known = torchvision.models.list_models(module=torchvision.models)
    if network_spec.name not in known:
        raise RecipeError(f"unknown network 'torchvision:{network_spec.name}'; {nearest(network_spec.name, known)}")
    settings, side = {}, network_spec.side or 64
    if network_spec.name.startswith("vit_"):
        settings["image_size"] = side = network_spec.side or 224
    if network_spec.name in ("googlenet", "inception_v3"):
        settings |= {"init_weights": False, "aux_logits": False}
    pretrained = network_spec.pretrained or network_spec.weights
    classes = 1000 if pretrained else network_spec.num_classes
    try:
        network = torchvision.models.get_model(network_spec.name, weights=None, num_classes=classes, **settings)
        if pretrained:
            _load(network, network_spec)
        backbone = TorchvisionBackbone(network, network_spec.name, side)
    except (RuntimeError, ValueError, AssertionError) as error:
        raise RecipeError(
            f"'torchvision:{network_spec.name}' cannot take images of {side} px ({error}). Set data.image_size to a "
            "side that it takes, or choose another network."
        ) from error
    if pretrained and network_spec.num_classes != classes:
        backbone.head = nn.Linear(backbone.head.in_features, network_spec.num_classes)
    if not pretrained:
        narrow_new_head(backbone.heads())
    backbone.options = {"image_size": side} if "image_size" in settings else {}
    return imagenet(backbone)


def _load(network: Any, network_spec: NetworkSpec) -> None:
    """Published weights without the auxiliary classifiers; raises ArtefactError saying what to put where."""
    path = Path(network_spec.weights) if network_spec.weights else None
    weights = torchvision.models.get_model_weights(network_spec.name).DEFAULT
    try:
        values = (
            tensors_of(path) if path else weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
        )
        network.load_state_dict({key: value for key, value in values.items() if not key.lower().startswith("aux")})
    except ArtefactError:
        raise
    except Exception as error:  # of the network or the file, of many classes
        raise ArtefactError(
            cannot_load(f"torchvision:{network_spec.name}", error, path, Path(weights.url).name)
        ) from error
    if hasattr(network, "transform_input"):
        network.transform_input = True  # such weights were trained on inputs scaled otherwise
