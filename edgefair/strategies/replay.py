"""Earlier rows for an adversary: what it learns from must not be what it is asked about."""

import numpy as np
import torch
from torch import Tensor, nn


class RowMemory(nn.Module):
    """The last `rows` rows that an adversary saw: its input [N, D], the class [N] and the truth [N]."""

    z: Tensor
    labels: Tensor
    values: Tensor
    seen: Tensor

    def __init__(self, rows: int, width: int, values: torch.dtype):
        super().__init__()
        self.register_buffer("z", torch.zeros(rows, width))
        self.register_buffer("labels", torch.zeros(rows, dtype=torch.int64))
        self.register_buffer("values", torch.zeros(rows, dtype=values))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))  # rows ever pushed

    @torch.no_grad()
    def push(self, z: Tensor, labels: Tensor, values: Tensor) -> None:
        """Take the place of the oldest rows."""
        rows = len(self.z)
        place = (self.seen + torch.arange(len(z), device=z.device)) % rows
        self.z[place], self.labels[place], self.values[place] = z.detach(), labels, values.to(self.values.dtype)
        self.seen += len(z)

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor] | None:
        """`count` of the rows without replacement, or all where there are fewer; None where there are none."""
        held = min(int(self.seen), len(self.z))
        if not held:
            return None
        at = torch.from_numpy(rng.permutation(held)[:count]).to(self.z.device)
        return self.z[at], self.labels[at], self.values[at]
