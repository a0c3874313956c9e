"""Intra-processing: Savani et al., "Intra-processing methods for debiasing neural networks" (NeurIPS 2020).

A critic learns to predict how unfair the student is on a batch; the student's objective is multiplied by more than one
where the prediction exceeds a margin, as Bang et al. use it: max(1, lambda * (|g| - epsilon + delta) + 1) * L_task.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgefair.models import seeded
from edgefair.recipe.strategies import IntraSettings
from edgefair.strategies.base import StepContext, Strategy
from edgefair.strategies.cell_sums import cell_sums
from edgefair.tensors import Batch, Output


def objective_multiplier(predicted_bias: Tensor, lam: float, epsilon: float, margin: float) -> Tensor:
    """max(1, lam * (|predicted_bias| - epsilon + margin) + 1): at least 1, continuous, elementwise."""
    return torch.clamp(lam * (predicted_bias.abs() - epsilon + margin) + 1, min=1.0)


def batch_disparity(logits: Tensor, labels: Tensor, groups: Tensor, num_groups: int) -> Tensor | None:
    """Mean over classes of the gap between groups in the mean probability of the true class: a scalar in [0, 1].

    logits [B, C]; labels, groups [B] below num_groups, group -1 left out. Classes seen in fewer than two groups are
    skipped, not counted as zero; None where no class is seen in two.
    """
    right = functional.softmax(logits, dim=1).gather(1, labels[:, None])[:, 0]  # [B]
    total, count = cell_sums(right, labels, groups, logits.shape[1], num_groups)  # [C, G]
    recall, seen = total / count.clamp(min=1), count > 0
    gap = recall.masked_fill(~seen, -1).amax(1) - recall.masked_fill(~seen, 2).amin(1)  # [C]
    shared = seen.sum(1) >= 2
    return gap[shared].mean() if shared.any() else None


class Critic(nn.Module):
    """Predicts a batch's disparity: a row network on [logits, class, group], averaged over rows, then one number.

    The mean over rows makes it independent of the order and the number of rows, so a partial last batch works, and its
    gradient reaches every row.
    """

    def __init__(self, num_classes: int, num_groups: int, hidden: int):
        super().__init__()
        self.sizes = num_classes, num_groups
        self.rows = nn.Sequential(
            nn.Linear(2 * num_classes + num_groups, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()
        )
        self.out = nn.Linear(hidden, 1)

    def forward(self, logits: Tensor, labels: Tensor, groups: Tensor) -> Tensor:
        known = groups >= 0
        shown = [functional.one_hot(ids[known], n) for ids, n in zip((labels, groups), self.sizes, strict=True)]
        rows = torch.cat([functional.log_softmax(logits[known], dim=1).clamp(min=-20), *shown], dim=1)
        return self.out(self.rows(rows).mean(dim=0)).squeeze()


class Intra(Strategy):
    """L = max(1, lambda * (|g| - epsilon + delta) + 1) * L_task, g the critic's prediction of the batch's disparity."""

    settings_class = IntraSettings
    settings: IntraSettings

    def __init__(self, context: StepContext):
        super().__init__(context)
        with seeded(context.seed):
            critic = Critic(context.probe.logits.shape[1], context.num_groups, self.settings.adversary_hidden)
        self.critic = critic.to(self.device)
        self.critic_optimizer = torch.optim.Adam(self.critic.parameters(), lr=self.settings.adversary_lr)

    @property
    def objective(self) -> str:
        settings = self.settings
        return (
            f"intra: L = max(1, lambda * (|g| - {settings.epsilon:g} + {settings.margin:g}) + 1) * L_task, "
            f"lambda = {settings.lam:g}; g is a critic's prediction of the mean absolute disparity on the batch."
        )

    def extra_modules(self) -> dict[str, nn.Module]:
        return {"critic": self.critic}

    def extra_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"critic_optimizer": self.critic_optimizer}

    def step(self, batch: Batch) -> dict[str, float]:
        student, terms = self.forward(batch)
        bias = batch_disparity(student.logits.detach(), batch.labels, batch.groups, self.context.num_groups)
        if bias is None:  # no class is seen in two groups: there is nothing to learn or to weigh
            return self.backward_and_step(terms)
        for _ in range(self.settings.adversary_steps):
            self._critic_step(student, batch, bias)
        settings = self.settings
        predicted = self.critic(student.logits, batch.labels, batch.groups)
        multiplier = objective_multiplier(predicted, settings.lam, settings.epsilon, settings.margin)
        values = self.backward_and_step({name: multiplier * term for name, term in terms.items()})
        seen = {"bias": bias.item(), "predicted_bias": predicted.item(), "multiplier": multiplier.item()}
        return values | seen | {"task": values["task"] / seen["multiplier"]}

    def _critic_step(self, student: Output, batch: Batch, bias: Tensor) -> None:
        self.critic_optimizer.zero_grad(set_to_none=True)
        guess = self.critic(student.logits.detach(), batch.labels, batch.groups)
        functional.mse_loss(guess, bias).backward()
        self.critic_optimizer.step()
