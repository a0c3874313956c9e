"""Mean smooth-L1 of the differences of all angles of two batches of points, from their Gram matrices.

There are B * B * B cosines. They are made a few vertices at a time, in parts that stay in the processor's cache, and
the gradient is summed along the way: memory grows with B * B alone, and nothing of size B * B * D is ever made.
"""

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

_CHUNK = {"cpu": 2**18}  # cosines held at a time: 1 MiB in fp32
_CHUNK_ELSEWHERE = 2**22  # a GPU wants few, large kernels; 16 MiB in fp32


def squared_distances(gram: Tensor) -> Tensor:
    """||x_i - x_j||^2 = G_ii + G_jj - 2 G_ij, [B, B]."""
    norms = gram.diagonal()
    return norms[:, None] + norms[None, :] - 2 * gram


def angle_difference(student_gram: Tensor, teacher_gram: Tensor) -> Tensor:
    """Mean over i, j, k of smooth-L1(cos_s(i; j, k) - cos_t(i; j, k)), the angle at i between j and k.

    Gram matrices [B, B] of the two. Differentiable in both, twice.
    """
    return _AngleDifference.apply(student_gram, teacher_gram)


class _AngleDifference(torch.autograd.Function):
    """Forward sums value and gradient in one pass; a backward pass that is itself differentiated goes by autograd."""

    @staticmethod
    def forward(ctx, student: Tensor, teacher: Tensor) -> Tensor:
        value, gradients = _value_and_gradients(student, teacher, ctx.needs_input_grad)
        ctx.save_for_backward(student, teacher, *gradients)
        return value

    @staticmethod
    def backward(ctx, slope: Tensor):
        student, teacher, *gradients = ctx.saved_tensors
        if torch.is_grad_enabled():  # create_graph=True
            wanted = [x for x, needed in zip((student, teacher), ctx.needs_input_grad, strict=True) if needed]
            gradients = iter(torch.autograd.grad(_by_autograd(student, teacher), wanted, create_graph=True))
            return tuple(slope * next(gradients) if needed else None for needed in ctx.needs_input_grad)
        gradients = iter(gradients)
        return tuple(slope * next(gradients) if needed else None for needed in ctx.needs_input_grad)


def _inverse_distances(gram: Tensor) -> Tensor:
    """1 / ||x_i - x_j||, [B, B]; 0 where two points coincide as far as the arithmetic can tell: no direction."""
    squared, norms = squared_distances(gram), gram.diagonal().detach()
    apart = squared > 4 * torch.finfo(gram.dtype).eps * (norms[:, None] + norms[None, :])
    return torch.where(apart, torch.where(apart, squared, 1).rsqrt(), 0)


def _cosines(gram: Tensor, inverse: Tensor, vertices: slice) -> Tensor:
    """Cosine of the angle at i between j and k for V vertices i: [V, B, B]."""
    at, scale = gram[vertices], inverse[vertices]  # [V, B]
    # <x_j - x_i, x_k - x_i> = G_jk - G_ij - G_ik + G_ii
    shifted = at - gram.diagonal()[vertices][:, None]
    return (gram[None] - at[:, :, None] - shifted[:, None, :]) * scale[:, :, None] * scale[:, None, :]


def _cosines_in_place(gram: Tensor, inverse: Tensor, vertices: slice) -> Tensor:
    at, scale = gram[vertices], inverse[vertices]
    cosines = gram[None] - at[:, :, None]
    return cosines.sub_((at - gram.diagonal()[vertices][:, None])[:, None]).mul_(scale[:, :, None]).mul_(scale[:, None])


def _parts(rows: int, device: torch.device) -> list[slice]:
    step = max(1, _CHUNK.get(device.type, _CHUNK_ELSEWHERE) // rows**2)
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


def _value_and_gradients(student: Tensor, teacher: Tensor, needed) -> tuple[Tensor, list[Tensor]]:
    inverse = _inverse_distances(student), _inverse_distances(teacher)
    grams = student, teacher
    chosen = [index for index in (0, 1) if needed[index]]
    gradients = {index: torch.zeros_like(grams[index]) for index in chosen}
    total = student.new_zeros(())
    for vertices in _parts(len(student), student.device):
        cosines = [_cosines_in_place(gram, scale, vertices) for gram, scale in zip(grams, inverse, strict=True)]
        difference = cosines[0] - cosines[1]
        slope = difference.clamp(-1, 1)  # derivative of smooth-L1
        total += torch.dot(slope.flatten(), difference.add_(slope, alpha=-0.5).flatten())
        for index, sign in ((i, 1 - 2 * i) for i in chosen):
            _add_gradient(gradients[index], slope, cosines[index], inverse[index], vertices, sign)
    count = len(student) ** 3
    return total / count, [gradients[index] / count for index in chosen]


def _add_gradient(into: Tensor, slope: Tensor, cosines: Tensor, inverse: Tensor, vertices: slice, sign: int) -> None:
    """Add sign * sum slope * d cosines / d G for the vertices; slope and cosines [V, B, B] are symmetric in j and k."""
    scale = inverse[vertices]  # [V, B]
    # Through w_ij = ||x_i - x_j||^-1, squared = w^-2: d L / d squared_ij = - w_ij^2 * sum_k slope * cosine.
    by_length = cosines.mul_(slope).sum(2).mul_(scale * scale).mul_(-sign)  # [V, B]
    # Through the inner product: G_jk once, G_ij and G_ik together twice, G_ii once for every pair (j, k).
    by_inner = (slope * scale[:, :, None]).mul_(scale[:, None])
    rows = by_inner.sum(2).mul_(sign)  # [V, B]
    into.add_(by_inner.sum(0), alpha=sign)
    into[vertices] -= 2 * (rows + by_length)
    diagonal = into.diagonal()
    diagonal[vertices] += rows.sum(1) + by_length.sum(1)
    diagonal += by_length.sum(0)


def _by_autograd(student: Tensor, teacher: Tensor) -> Tensor:
    """The same value, differentiable as often as wanted; parts are computed again in the backward pass."""
    inputs = student, _inverse_distances(student), teacher, _inverse_distances(teacher)
    parts = _parts(len(student), student.device)
    if len(parts) == 1:
        return _sum(*inputs, parts[0]) / len(student) ** 3
    sums = [checkpoint(_sum, *inputs, part, use_reentrant=False, preserve_rng_state=False) for part in parts]
    return torch.stack(sums).sum() / len(student) ** 3


def _sum(student: Tensor, student_inverse: Tensor, teacher: Tensor, teacher_inverse: Tensor, vertices: slice) -> Tensor:
    cosines = _cosines(student, student_inverse, vertices), _cosines(teacher, teacher_inverse, vertices)
    return functional.smooth_l1_loss(*cosines, reduction="sum")
