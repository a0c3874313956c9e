"""ResNets for small images."""

import re

from torch import Tensor, nn
from torch.nn import functional

from edgefair.errors import RecipeError
from edgefair.models.backbone import Backbone, NetworkSpec
from edgefair.tensors import Output

WIDE = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}  # blocks of each stage


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut; a 1x1 convolution where the shape changes (option B of the paper)."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class CifarResNet(Backbone):
    """ResNet of basic blocks for small images: 3x3 stem, no pooling, and every stage but the first halves the side.

    `blocks` and `widths` are of each stage. Features are the last stage's map, averaged over the image.
    """

    def __init__(self, blocks: tuple[int, ...], widths: tuple[int, ...], num_classes: int):
        super().__init__()
        inputs = widths[0]
        self.stem = nn.Sequential(nn.Conv2d(3, inputs, 3, 1, 1, bias=False), nn.BatchNorm2d(inputs), nn.ReLU())
        self.stages = nn.ModuleList()
        for stage, (count, outputs) in enumerate(zip(blocks, widths, strict=True)):
            first = BasicBlock(inputs, outputs, 1 if stage == 0 else 2)
            self.stages.append(nn.Sequential(first, *(BasicBlock(outputs, outputs, 1) for _ in range(count - 1))))
            inputs = outputs
        self.head = nn.Linear(inputs, num_classes)

    def forward(self, x: Tensor, all_maps: bool = False) -> Output:
        x = self.stem(x)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        features = x.mean((2, 3))  # [B, D]
        return Output(self.head(features), features, tuple(maps))

    def map_names(self, all_maps: bool = False) -> tuple[str, ...]:
        return tuple(f"stages.{stage}" for stage in range(len(self.stages)))

    def heads(self) -> tuple[nn.Module, ...]:
        return (self.head,)


def cifar_resnet(name: str, num_classes: int) -> CifarResNet:
    """The ResNet for small images of that name; raises RecipeError for one that is not known.

    resnet18, resnet34: blocks and widths (64 to 512) of He et al., "Deep residual learning" (CVPR 2016), table 1,
    behind the 3x3 stem that papers on CIFAR use (Wang et al., CVPR 2020). Any other depth is 6n + 2 with three stages
    of 16, 32 and 64 channels (section 4.2): 8 is the image classifier of MLPerf Tiny, 20 to 110 are the paper's.
    """
    if name in WIDE:
        return CifarResNet(WIDE[name], (64, 128, 256, 512), num_classes)
    match = re.fullmatch(r"resnet(\d{1,4})", name)
    depth = int(match[1]) if match else 0
    if depth < 8 or (depth - 2) % 6:
        raise RecipeError(
            f"unknown network 'cifar:{name}'; allowed are cifar:resnet8, 14, 20, 32, 44, 56, 110 (6n + 2 layers, "
            "16 to 64 channels), cifar:resnet18 and cifar:resnet34 (64 to 512 channels)."
        )
    return CifarResNet(((depth - 2) // 6,) * 3, (16, 32, 64), num_classes)


def make(network_spec: NetworkSpec) -> tuple[Backbone, tuple, tuple]:
    """The network of that name with the mean and standard deviation for small images; raises RecipeError."""
    network = cifar_resnet(network_spec.name, network_spec.num_classes)
    if network_spec.pretrained or network_spec.weights:
        raise RecipeError(
            f"'cifar:{network_spec.name}' has no published weights; set pretrained = false or name a file: or timm: "
            "network."
        )
    return network, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
