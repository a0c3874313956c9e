"""Logit adjustment after training: Menon et al., "Long-tail learning via logit adjustment" (ICLR 2021), section 4.1."""

import torch
from torch import Tensor

from edgefair.models.last_layer import LastLayer
from edgefair.recipe.strategies import LogitAdjustSettings
from edgefair.strategies.base import StepContext, Strategy


def log_prior(chances: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """log pi_c, with pi_c the share of class c among the rows that training shows: [C].

    chances, labels [N]: of the training rows, chances sum to 1. A class that is never shown has no share to take out;
    it counts as if it had one row.
    """
    share = torch.zeros(num_classes, dtype=torch.float64).index_add(0, labels, chances.double())
    return torch.where(share > 0, share, 1 / len(labels)).log()


class LogitAdjustment(Strategy):
    """Trained as plain; then bias_c <- bias_c - lambda * log pi_c: no training, and nothing more to compute."""

    settings_class = LogitAdjustSettings
    settings: LogitAdjustSettings

    def __init__(self, context: StepContext):
        super().__init__(context)
        self.layer = LastLayer(context.student)
        assert context.row_chances is not None  # comes with the rows
        labels = context.splits["train"].labels.cpu()
        self.log_prior = log_prior(context.row_chances, labels, context.probe.logits.shape[1])

    @property
    def objective(self) -> str:
        return (
            f"logit-adjust: L = L_task; then bias - lambda * log(class prior), lambda = {self.settings.lam:g}: the "
            "shares of the classes among the rows that training shows are taken out."
        )

    def finish(self) -> str:
        return self._shift(-self.settings.lam, "bias lowered by {:g} * log of each class's share in training")

    def reopen(self) -> None:
        self._shift(self.settings.lam, "")

    def _shift(self, lam: float, said: str) -> str:
        if not lam:
            return ""
        self.layer.set(self.layer.weight, self.layer.bias + lam * self.log_prior)
        return said.format(abs(lam))
