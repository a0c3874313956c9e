"""Multinomial logistic regression on features, with an L1 penalty or an L2 one around given values.

Without L1 by L-BFGS (torch's). With it by accelerated proximal gradient steps with restarts: Beck and Teboulle, "A fast
iterative shrinkage-thresholding algorithm" (SIAM J. Imaging Sciences 2009); O'Donoghue and Candès, "Adaptive restart
for accelerated gradient schemes" (2015). Both are deterministic.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Problem(NamedTuple):
    """sum_i w_i CE(theta x_i, y_i) + l2 / 2 |scale * (theta - centre)|^2, the smooth part; x [N, D + 1] ends with 1."""

    x: Tensor
    labels: Tensor
    row_weights: Tensor
    l2: float
    centre: Tensor
    scale: Tensor

    def gradient(self, theta: Tensor) -> Tensor:
        """Of its value at theta [C, D + 1]."""
        target = functional.one_hot(self.labels, len(theta)).to(self.x.dtype)  # [N, C]
        residual = self.row_weights[:, None] * (functional.softmax(self.x @ theta.T, dim=1) - target)
        return residual.T @ self.x + self.l2 * self.scale * (theta - self.centre)

    def value(self, theta: Tensor) -> Tensor:
        """Its value at theta, a scalar."""
        loss = functional.cross_entropy(self.x @ theta.T, self.labels, reduction="none")
        return self.row_weights @ loss + self.l2 / 2 * (self.scale * (theta - self.centre).square()).sum()


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
    The bias is free of l1, and of l2 unless `around` is given, which else is 0. Ends where no entry of the gradient
    (with l1 of the proximal one) is larger than `tolerance`, or after `max_steps`.
    """
    x = torch.cat([features, features.new_ones(len(features), 1)], dim=1)
    scale = torch.ones_like(start)
    if around is None:
        scale[:, -1] = 0
    problem = Problem(x, labels, row_weights, l2, torch.zeros_like(start) if around is None else around, scale)
    return _proximal(problem, start, l1, tolerance, max_steps) if l1 else _smooth(problem, start, tolerance, max_steps)


def _smooth(problem: Problem, start: Tensor, tolerance: float, max_steps: int) -> Tensor:
    theta = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [theta],
        max_iter=max_steps,
        max_eval=2 * max_steps,
        tolerance_grad=tolerance,
        tolerance_change=0,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        theta.grad = problem.gradient(theta.detach())
        return problem.value(theta.detach())

    optimizer.step(closure)
    return theta.detach()


def _proximal(problem: Problem, start: Tensor, l1: float, tolerance: float, max_steps: int) -> Tensor:
    # Half the largest eigenvalue of the features' second moments bounds the curvature of the cross-entropy.
    steepest = 0.5 * _largest_eigenvalue(problem.x * problem.row_weights.sqrt()[:, None]) + problem.l2
    theta = momentum = start
    pace = 1.0
    for _ in range(max_steps):
        moved = momentum - problem.gradient(momentum) / steepest
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
