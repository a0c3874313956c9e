"""Random changes of a batch of images, made on the device that trains: uint8 in, uint8 out, each image its own draw."""

import torch
from torch import Tensor

JITTER = 0.4  # how far brightness, contrast and saturation may go from 1
_GREY = (0.2989, 0.587, 0.114)  # ITU-R 601, as in torchvision


def augmented(images: Tensor, how: str, random: torch.Generator) -> Tensor:
    """Images uint8 [B, 3, S, S] flipped at random; for crop-flip also shifted, for crop-flip-jitter also recoloured."""
    if how == "none":
        return images
    flip = torch.rand(len(images), generator=random, device=images.device) < 0.5
    images = torch.where(flip[:, None, None, None], images.flip(3), images)
    if how == "flip":
        return images
    images = shifted(images, random)
    return jittered(images, random) if how == "crop-flip-jitter" else images


def shifted(images: Tensor, random: torch.Generator) -> Tensor:
    """Each image shifted by up to an eighth of the side in both directions; edges reflect."""
    side = images.shape[-1]
    pad = max(1, side // 8)
    top, left = torch.randint(0, 2 * pad + 1, (2, len(images)), generator=random, device=images.device)
    axis = torch.arange(-pad, side - pad, device=images.device)
    row, column = (_reflected(start[:, None] + axis, side) for start in (top, left))  # [B, S] each
    # One index of pixels for all channels: several times faster than indexing by image, channel, row and column.
    pixel = (row[:, :, None] * side + column[:, None, :]).reshape(len(images), 1, -1)  # [B, 1, S * S]
    return images.reshape(len(images), 3, -1).gather(2, pixel.expand(-1, 3, -1)).reshape(images.shape)


def _reflected(position: Tensor, side: int) -> Tensor:
    """Positions beyond an edge, folded back at the first and last pixel."""
    position = position.abs()
    return torch.where(position < side, position, 2 * (side - 1) - position)


def jittered(images: Tensor, random: torch.Generator) -> Tensor:
    """Brightness, contrast and saturation of each image multiplied by factors from 1 - JITTER to 1 + JITTER.

    The order is fixed, so that a batch is one computation; every step is clipped to 0 .. 255 as torchvision's are.
    """
    spread = torch.rand(3, len(images), 1, 1, 1, generator=random, device=images.device) * 2 - 1
    brightness, contrast, saturation = 1 + JITTER * spread
    picture = recoloured(images.float(), brightness, contrast, saturation)
    return picture.round().to(images.dtype)


def recoloured(images: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor) -> Tensor:
    """Float images [B, 3, S, S] in 0 .. 255 after torchvision's three adjustments, one by one.

    brightness, contrast, saturation: factors [B, 1, 1, 1]; 1 changes nothing.
    """
    images = (images * brightness).clamp(0, 255)
    mean = _grey(images).mean((1, 2, 3), keepdim=True)
    images = torch.lerp(mean, images, contrast).clamp(0, 255)
    return torch.lerp(_grey(images), images, saturation).clamp(0, 255)


def _grey(images: Tensor) -> Tensor:
    weights = images.new_tensor(_GREY)[None, :, None, None]
    return (images * weights).sum(1, keepdim=True)
