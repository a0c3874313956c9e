"""The derivative of BIRD's outer loss, the expensive way."""

import torch
from torch.func import functional_call


def double_backward(student, inner, outer, phi, images, meta_images, step):
    """The same derivative the expensive way: through the graph of the inner gradient."""
    theta = {name: p.detach().requires_grad_() for name, p in student.named_parameters()}

    def run(values, x):
        return functional_call(student, {**values, **{k: b.clone() for k, b in student.named_buffers()}}, (x,))

    gradients = torch.autograd.grad(
        inner(run(theta, images)), list(theta.values()), create_graph=True, allow_unused=True
    )
    ahead = {k: w if g is None else w - step * g for (k, w), g in zip(theta.items(), gradients, strict=True)}
    return torch.autograd.grad(outer(run(ahead, meta_images)), phi)[0]
