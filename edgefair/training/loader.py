"""Batches for training: shuffled, augmented on the training device, the same for the same seed and epoch."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from edgefair.data import Examples
from edgefair.predictions import batches
from edgefair.seeds import derive, generator
from edgefair.strategies.base import SplitRows
from edgefair.tensors import Batch
from edgefair.training import sampler as sampling
from edgefair.training.augment import augmented


class BatchLoader:
    """Batches of one list of rows; its images live on a GPU where they fit, else they are read from the memory map.

    examples, name         the data set and which of its five lists
    batch_size, augment    as in [train]; so is `sampling`
    seed, device           of the order and the augmentation; where batches are made
    steps                  batches of an epoch
    """

    def __init__(
        self,
        examples: Examples,
        name: str,
        batch_size: int,
        augment: str,
        seed: int,
        device: torch.device,
        sampling: str = "shuffle",
    ):
        self.rows = examples.rows[name]
        self.images = examples.images
        self.on_device = _resident(self.images, self.rows, device)
        self.labels = torch.from_numpy(examples.labels[self.rows]).to(device)
        self.groups = torch.from_numpy(examples.groups[self.rows]).to(device)
        soft = examples.soft_groups
        self.soft_groups = None if soft is None else torch.from_numpy(soft[self.rows]).to(device)
        self.batch_size, self.augment, self.seed, self.device = batch_size, augment, seed, device
        self.sampling = sampling
        # Batch normalisation cannot train on one row.
        whole, rest = divmod(len(self.rows), batch_size)
        self.steps = whole + (rest > 1)

    def row_chances(self) -> Tensor:
        """Chance of each row to be shown next, [N], sum 1: sampling changes it."""
        if self.sampling == "shuffle":
            return torch.full((len(self.rows),), 1 / len(self.rows), dtype=torch.float64)
        labels, groups = (part.cpu().numpy() for part in (self.labels, self.groups))
        return torch.from_numpy(sampling.chances(labels, groups, self.sampling))

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of an epoch; ids are positions in the list."""
        shown = (part.cpu().numpy() for part in (self.labels, self.groups))
        order = sampling.order(*shown, self.sampling, generator(self.seed, "order", number))
        random = torch.Generator(self.device).manual_seed(derive(self.seed, "augment", number))
        for step in range(self.steps):
            ids = order[step * self.batch_size : (step + 1) * self.batch_size]
            at = torch.from_numpy(ids).to(self.device)
            if self.on_device is None:
                images = torch.from_numpy(self.images[self.rows[ids]]).to(self.device)
            else:
                images = self.on_device[at]
            images = augmented(images, self.augment, random).contiguous(memory_format=torch.channels_last)
            soft = None if self.soft_groups is None else self.soft_groups[at]
            yield Batch(images, self.labels[at], self.groups[at], at, soft)


def _resident(images: np.ndarray, rows: np.ndarray, device: torch.device) -> Tensor | None:
    """The images of the rows on a GPU, where they take less than half of its free memory; otherwise nothing.

    They are copied a part at a time: the array may be larger than the memory of the machine.
    """
    if device.type != "cuda" or 2 * len(rows) * images[0].nbytes > torch.cuda.mem_get_info(device)[0]:
        return None
    resident = torch.empty((len(rows), *images.shape[1:]), dtype=torch.uint8, device=device)
    for start in range(0, len(rows), 4096):
        resident[start : start + 4096] = torch.from_numpy(images[rows[start : start + 4096]])
    return resident


def split_rows(examples: Examples, name: str, device: torch.device, batch_size: int = 256) -> SplitRows:
    """All rows of a split, not augmented; images are read when they are asked for."""
    rows = examples.rows[name]

    def images() -> Iterator[Tensor]:
        for place in batches(len(rows), batch_size):
            part = torch.from_numpy(examples.images[rows[place]])
            yield part.to(device, memory_format=torch.channels_last)

    return SplitRows(torch.from_numpy(examples.labels[rows]), torch.from_numpy(examples.groups[rows]), images)


class RandomBatch:
    """A random batch of one list for each step, the same for the same seed and step; not augmented."""

    def __init__(self, examples: Examples, name: str, batch_size: int, seed: int, device: torch.device):
        self.examples, self.rows, self.device, self.seed = examples, examples.rows[name], device, seed
        self.size = min(batch_size, len(self.rows))

    def __call__(self, step: int) -> Batch:
        at = generator(self.seed, "draw", step).choice(len(self.rows), self.size, replace=False)
        rows = self.rows[at]
        images = torch.from_numpy(self.examples.images[rows]).to(self.device, memory_format=torch.channels_last)
        ids = (self.examples.labels[rows], self.examples.groups[rows], at)
        return Batch(images, *(torch.from_numpy(part).to(self.device) for part in ids))
