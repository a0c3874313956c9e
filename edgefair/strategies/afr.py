"""Automatic feature reweighting: Qiu, Potapczynski, Izmailov, Wilson, "Simple and fast group robustness by automatic
feature reweighting" (ICML 2023).

The last layer is fitted again with more weight on rows whose class it finds improbable; groups need not be known.
"""

import torch
from torch import Tensor
from torch.nn import functional

from edgefair.models.last_layer import LastLayer
from edgefair.recipe.strategies import AfrSettings
from edgefair.strategies.base import StepContext, Strategy
from edgefair.strategies.logistic import fit_logistic
from edgefair.strategies.refit import Rows, cell_figures, check_classes, logits_of, read_rows


def afr_weights(logits: Tensor, labels: Tensor, gamma: float) -> Tensor:
    """mu_i = exp(-gamma * p_i) / n_c, scaled to sum 1: p_i is the probability of the row's class, n_c its class's rows.

    logits [N, C], labels [N]: [N]. Equation 3 of the paper, with its beta that balances the classes.
    """
    p = functional.softmax(logits, dim=1).gather(1, labels[:, None])[:, 0]
    count = torch.bincount(labels, minlength=logits.shape[1])[labels]
    weights = torch.exp(-gamma * p) / count
    return weights / weights.sum()


class FeatureReweighting(Strategy):
    """Trained as plain; then head = (1 - lambda) * trained + lambda * argmin of sum mu_i CE_i + a |head - trained|^2.

    a is `strategy.anchor`; gamma is the one of `strategy.gammas` that serves the worst cell, or class, of the
    validation rows best. The authors fit on a fifth of the training rows that the network was not trained on;
    `strategy.rows` says on which.
    """

    settings_class = AfrSettings
    settings: AfrSettings

    def __init__(self, context: StepContext):
        super().__init__(context)
        self.layer = LastLayer(context.student)
        self.split = context.splits[self.settings.rows]
        check_classes(self.settings.name, self.settings.rows, self.split.labels, context.class_names)

    @property
    def objective(self) -> str:
        settings = self.settings
        return (
            "afr: L = L_task; then head = (1 - lambda) * trained + lambda * refitted, lambda = "
            f"{settings.lam:g}, refitted on {settings.rows} rows that weigh exp(-gamma * probability of the class)."
        )

    def finish(self) -> str:
        settings = self.settings
        if not settings.lam:
            return ""
        trained = torch.cat([self.layer.weight, self.layer.bias[:, None]], dim=1)
        rows = read_rows(self.layer, self.split, 1)
        held = read_rows(self.layer, self.context.splits["validation"], self._groups())
        fits = {gamma: self._fit(rows, trained, gamma) for gamma in settings.gammas}
        gamma = max(fits, key=lambda gamma: cell_figures(logits_of(fits[gamma], held.features), held))
        theta = torch.lerp(trained, fits[gamma], settings.lam)
        self.layer.set(theta[:, :-1], theta[:, -1])
        return f"last layer refitted on {len(rows.labels)} {settings.rows} rows, gamma = {gamma:g}"

    def _groups(self) -> int:
        """How many groups gamma is chosen by: one, where classes are looked at alone."""
        known = bool((self.context.splits["validation"].groups >= 0).any())
        return self.context.num_groups if known and self.settings.judge == "cell" else 1

    def _fit(self, rows: Rows, trained: Tensor, gamma: float) -> Tensor:
        weights = afr_weights(logits_of(trained, rows.features), rows.labels, gamma)
        l2 = 2 * self.settings.anchor
        return fit_logistic(rows.features, rows.labels, weights, trained, l2=l2, around=trained)
