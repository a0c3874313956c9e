"""A strategy's term held to a share of the task's gradient: one lambda then means the same on all data and losses."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgefair.models.parallel import SINGLE_PROCESS, ProcessGroup

EVERY = 10  # steps between measurements, which cost two backward passes
KEEP = 0.8  # weight of earlier measurements


def squared_length(value: Tensor, parameters: Sequence[Tensor], processes: ProcessGroup = SINGLE_PROCESS) -> float:
    """|d value / d parameters|^2 of the whole batch, all parameters together; the graph of `value` [] is kept."""
    own = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
    return sum(float(g.pow(2).sum()) for g in processes.all_reduce(own) if g is not None)


class GradientCap(nn.Module):
    """The weight at which a term pulls no harder than lambda times the task: lambda * min(1, |g_task| / |g_term|).

    |g| is the length of a gradient in the student's parameters: root of a moving mean of squares, measured at every
    tenth step. A term that is weaker than that is not blown up: what it knows would be noise.
    """

    squares: Tensor

    def __init__(self):
        super().__init__()
        self.register_buffer("squares", torch.zeros(2))  # of the task's gradient and the term's

    def weight(
        self,
        lam: float,
        task: Tensor,
        term: Tensor,
        parameters: Sequence[Tensor],
        step: int,
        processes: ProcessGroup = SINGLE_PROCESS,
    ) -> float:
        """The weight of `term` [] beside `task` [] at this step; both depend on the parameters."""
        if not (lam and term.requires_grad):
            return lam
        if step % EVERY == 0:
            self.observe(*(squared_length(value, parameters, processes) for value in (task, term)))
        ratio = self.squares[0] / self.squares[1].clamp(min=1e-24)
        return lam * float(ratio.sqrt().clamp(max=1.0))

    def observe(self, task: float, term: float) -> None:
        """Take in squared lengths of both gradients; the first that are not zero are the mean."""
        new = self.squares.new_tensor([task, term])
        self.squares.copy_(KEEP * self.squares + (1 - KEEP) * new if self.squares[1] > 0 else new)
