"""Training in several processes so that the student is the one that a single process would train.

Every process reads the same batch and takes its rows of it through the network; what comes out is gathered, with its
gradient, so that every loss, adversary, critic and gate sees the whole batch. Relations between rows (RKD), cells (MFD,
BIRD) and class means are then those of the whole batch too, and nothing needs to know that there are other processes.
Each process gets the gradient of its own rows, and their sum is the gradient of the batch. What is done twice, the
losses on outputs, is small beside the networks.

Batch normalisation takes its statistics over all processes as well. torch's SyncBatchNorm does that on a GPU alone, and
has no forward mode, which BIRD needs: so it is written here with one sum over the processes, which has both.
"""

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from edgefair.seeds import derive
from edgefair.tensors import Output, to_fp32


@dataclass(frozen=True)
class ProcessGroup:
    """This process, `rank` among `size`; with one process everything is the plain call."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes files and the log."""
        return self.rank == 0

    def shard_bounds(self, rows: int) -> list[int]:
        """Where each process's rows begin, and the end; all take all rows where there are fewer rows than processes."""
        return [rows * rank // self.size for rank in range(self.size + 1)]

    def local_shard(self, images: Tensor) -> Tensor:
        """This process's rows."""
        if len(images) < self.size or self.size == 1:
            return images
        bounds = self.shard_bounds(len(images))
        return images[bounds[self.rank] : bounds[self.rank + 1]]

    @contextlib.contextmanager
    def sharded_forward(self, rows: int, device: torch.device) -> Iterator[None]:
        """While a network looks at this process's part: statistics of the whole batch, and random draws of its own.

        The draws of the processes differ, and torch's generator goes on alike in all of them: what is drawn outside the
        network, on the whole batch, must be the same everywhere.
        """
        if self.size == 1:
            yield
            return
        seed = derive(int(torch.randint(2**62, ())), "rank", self.rank)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            with SharedStatistics() if rows >= self.size else contextlib.nullcontext():
                yield

    def forward(self, network: nn.Module, images: Tensor) -> Output:
        """What the network says of the whole batch, each process having looked at its part."""
        if self.size == 1:
            return network(images)
        with self.sharded_forward(len(images), images.device):
            output = network(self.local_shard(images))
        parts = self.gather((output.logits, output.features, *(output.maps or ())), len(images))
        return Output(parts[0], parts[1], parts[2:] or None)

    def gather(self, parts: Sequence[Tensor], rows: int) -> tuple[Tensor, ...]:
        """Tensors of the whole batch [rows, ...] from those of every process's rows, in order, with their gradient."""
        if self.size == 1:
            return tuple(parts)
        if rows < self.size:  # all looked at all rows: a share of the gradient each
            return tuple(part / self.size + (part - part / self.size).detach() for part in parts)
        return tuple(_Gather.apply(to_fp32(part), self.shard_bounds(rows), self.rank) for part in parts)

    def all_reduce(self, gradients: Sequence[Tensor | None]) -> list[Tensor | None]:
        """The gradients summed over the processes, in one transfer; those that are None are None everywhere."""
        if self.size == 1:
            return list(gradients)
        given = [gradient for gradient in gradients if gradient is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in given])
        dist.all_reduce(flat)
        sums = flat.split([gradient.numel() for gradient in given])
        summed = iter(part.view_as(gradient) for part, gradient in zip(sums, given, strict=True))
        return [None if gradient is None else next(summed) for gradient in gradients]

    def broadcast_object(self, value: Any) -> Any:
        """The first process's value, in every process."""
        if self.size == 1:
            return value
        box = [value if self.first else None]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    @torch.no_grad()
    def broadcast_parameters(self, modules: Sequence[nn.Module]) -> None:
        """Take over the first process's parameters and buffers: rounding that differs must not add up."""
        if self.size == 1:
            return
        for module in modules:
            for tensor in (*module.parameters(), *module.buffers()):
                dist.broadcast(tensor.data, src=0)


SINGLE_PROCESS = ProcessGroup()


def this_process() -> ProcessGroup:
    """This process's place among those that torch.distributed has joined."""
    if dist.is_available() and dist.is_initialized():
        return ProcessGroup(dist.get_rank(), dist.get_world_size())
    return SINGLE_PROCESS


class _Gather(torch.autograd.Function):
    """All processes' rows one after the other; the gradient of each process is that of its own rows.

    Every process computes the same loss from what is gathered, so no gradient is sent back.
    """

    @staticmethod
    def forward(ctx, part: Tensor, bounds: list[int], rank: int) -> Tensor:
        ctx.rows = slice(bounds[rank], bounds[rank + 1])
        sizes = [end - start for start, end in itertools.pairwise(bounds)]
        filled = part.new_zeros(max(sizes), *part.shape[1:])
        filled[: len(part)] = part
        found = [torch.empty_like(filled) for _ in sizes]
        dist.all_gather(found, filled)
        return torch.cat([rows[:size] for rows, size in zip(found, sizes, strict=True)])

    @staticmethod
    def backward(ctx, gradient: Tensor):
        return gradient[ctx.rows], None, None


class _Sum(torch.autograd.Function):
    """The sum over all processes; its gradient and its directional derivative are sums too."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        summed = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(summed)
        return summed

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        pass

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return _Sum.apply(gradient)

    @staticmethod
    def jvp(ctx, tangent: Tensor) -> Tensor:
        return _Sum.apply(tangent)


class SharedStatistics(TorchFunctionMode):
    """While it is active, batch normalisation in train mode takes mean and variance over all processes' rows."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is functional.batch_norm:
            return shared_batch_norm(*args, **kwargs)
        return func(*args, **kwargs)


def shared_batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """functional.batch_norm with the same arguments, whose mean and variance are those of all processes' rows.

    x [B, K, ...]; weight, bias, running_mean, running_var [K], the last two changed by `momentum` where training; eps
    is added to the variance.
    """
    if not training:
        return functional.batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    places = [0, *range(2, x.ndim)]
    shape = (1, -1, *(1,) * (x.ndim - 2))
    values = to_fp32(x)
    rows = values.new_full((1,), x.numel() / x.shape[1])
    sums = _Sum.apply(torch.cat([values.sum(places), rows]))
    count = sums[-1].detach()
    mean = sums[:-1] / count  # [K]
    centred = values - mean.view(shape)
    variance = _Sum.apply(centred.square().sum(places)) / count
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean.detach().to(running_mean.dtype), momentum)
            running_var.lerp_((variance.detach() * count / (count - 1)).to(running_var.dtype), momentum)
    normal = centred * (variance + eps).rsqrt().view(shape)
    if weight is not None:
        normal = normal * weight.view(shape)
    if bias is not None:
        normal = normal + bias.view(shape)
    return normal.to(x.dtype)
