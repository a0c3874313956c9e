"""Adversarial debiasing: Zhang, Lemoine, Mitchell, "Mitigating unwanted biases with adversarial learning" (AIES 2018).

An adversary guesses the group from the student's features; a gradient reversal (Ganin et al. 2016) makes the student
unlearn what it uses: L_student = L_task - lambda * L_adv, while the adversary goes down L_adv itself.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgefair.reversal import reverse_gradient
from edgefair.strategies.base import Parts, Strategy
from edgefair.tensors import Batch, Output


class Adversary(nn.Module):
    """Guesses the group: one hidden layer on z [B, D], and a head for every class if it is conditional, else one.

    With a head for each class it sees z and y, so that only what z tells of the group *within* a class is punished:
    equalised odds. Without, it punishes any dependence, even the one that comes from the labels: demographic parity.
    """

    def __init__(self, width: int, hidden: int, num_classes: int, num_groups: int, conditional: bool):
        super().__init__()
        self.trunk = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, hidden), nn.ReLU())
        self.head = nn.Linear(hidden, (num_classes if conditional else 1) * num_groups)
        self.num_groups = num_groups
        self.conditional = conditional

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        logits = self.head(self.trunk(z)).unflatten(1, (-1, self.num_groups))  # [B, C or 1, G]
        chosen = labels if self.conditional else torch.zeros_like(labels)
        return logits[torch.arange(len(z), device=z.device), chosen]  # [B, G]


class Adversarial(Strategy):
    """L = L_task - lambda * L_adv by gradient reversal; L_adv: cross-entropy of the adversary's guess of the group."""

    def __init__(self, parts: Parts):
        super().__init__(parts)
        recipe = parts.strategy
        width = getattr(parts.probe, recipe.adversary_input).shape[1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(parts.seed)
            adversary = Adversary(
                width, recipe.adversary_hidden, parts.probe.logits.shape[1], parts.num_groups, recipe.conditional
            )
        self.adversary = adversary.to(self.device)
        self.adversary_optimizer = torch.optim.Adam(self.adversary.parameters(), lr=recipe.adversary_lr)

    @property
    def meaning(self) -> str:
        recipe = self.parts.strategy
        form = "the true class is known to it: equalised odds" if recipe.conditional else "demographic parity"
        return (
            f"adversarial: L = L_task - lambda * L_adv, lambda = {recipe.lam:g}; L_adv is the cross-entropy of an "
            f"adversary that guesses the group from the student's {recipe.adversary_input} ({form})."
        )

    def extra_modules(self) -> dict[str, nn.Module]:
        return {"adversary": self.adversary}

    def extra_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"adversary_optimizer": self.adversary_optimizer}

    def adversary_loss(self, student: Output, batch: Batch, strength: float) -> Tensor:
        """Cross-entropy of the adversary over rows of known group, with the gradient to the student reversed."""
        known = batch.groups >= 0
        z = reverse_gradient(getattr(student, self.parts.strategy.adversary_input)[known], strength)
        guess = self.adversary(z, batch.labels[known])
        return functional.cross_entropy(guess, batch.groups[known], reduction="sum") / known.sum().clamp(min=1)

    def step(self, batch: Batch) -> dict[str, float]:
        student, terms = self.forward(batch)
        frozen = Output(student.logits.detach(), student.features.detach())
        for _ in range(self.parts.strategy.adversary_steps - 1):
            self.adversary_optimizer.zero_grad(set_to_none=True)
            self.adversary_loss(frozen, batch, 0.0).backward()
            self.adversary_optimizer.step()
        values = self.descend(
            {**terms, "adversary": self.adversary_loss(student, batch, self.parts.strategy.lam)},
            self.adversary_optimizer,
        )
        # The objective is L_task - lambda * L_adv; the sum that was differentiated holds L_adv with its own sign.
        values["loss"] -= (1 + self.parts.strategy.lam) * values["adversary"]
        return values
