"""Multinomial logistic regression on features, with an L1 penalty or an L2 one around given values.

By accelerated proximal gradient steps with restarts: Beck and Teboulle, "A fast iterative shrinkage-thresholding
algorithm" (SIAM J. Imaging Sciences 2009); O'Donoghue and Candès, "Adaptive restart for accelerated gradient schemes"
(2015). One short solver for both penalties, deterministic, in double precision.
"""

import torch
from torch import Tensor
from torch.nn import functional


def fit_logistic(
    features: Tensor,
    labels: Tensor,
    row_weights: Tensor,
    start: Tensor,
    *,
    l1: float = 0.0,
    l2: float = 0.0,
    around: Tensor | None = None,
    tolerance: float = 1e-6,
    max_steps: int = 2000,
) -> Tensor:
    """argmin over theta of sum_i w_i CE(theta [x_i, 1], y_i) + l1 |W|_1 + l2 / 2 |theta - around|^2, as [C, D + 1].

    features x [N, D]; labels y [N]; row_weights w [N], which should sum to 1; theta = [W, b], `start` its first value.
    The bias is free of l1, and of l2 unless `around` is given, which else is 0. Ends where no entry of the proximal
    gradient is larger than `tolerance`, or after `max_steps`.
    """
    x = torch.cat([features, features.new_ones(len(features), 1)], dim=1)  # [N, D + 1]
    penalised = torch.ones_like(start)
    if around is None:
        penalised[:, -1] = 0
    centre = torch.zeros_like(start) if around is None else around
    target = functional.one_hot(labels, len(start)).to(x.dtype)  # [N, C]
    steepest = 0.5 * _largest_eigenvalue(x * row_weights.sqrt()[:, None]) + l2
    theta = momentum = start
    pace = 1.0
    for _ in range(max_steps):
        residual = row_weights[:, None] * (functional.softmax(x @ momentum.T, dim=1) - target)
        moved = momentum - (residual.T @ x + l2 * penalised * (momentum - centre)) / steepest
        if l1:
            shrunk = moved.sign() * (moved.abs() - l1 / steepest).clamp(min=0)
            moved = torch.cat([shrunk[:, :-1], moved[:, -1:]], dim=1)
        done = steepest * float((moved - momentum).abs().max()) < tolerance
        if float(((momentum - moved) * (moved - theta)).sum()) > 0:  # the momentum points uphill: begin it anew
            pace = 1.0
        following = (1 + (1 + 4 * pace * pace) ** 0.5) / 2
        momentum = moved + (pace - 1) / following * (moved - theta)
        theta, pace = moved, following
        if done:
            break
    return theta


def _largest_eigenvalue(x: Tensor) -> float:
    """Of x^T x, from the smaller of the two products."""
    product = x.T @ x if x.shape[1] <= x.shape[0] else x @ x.T
    return max(float(torch.linalg.eigvalsh(product)[-1]), 1e-12)
