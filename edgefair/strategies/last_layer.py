"""The last layer fitted again on balanced rows: Kirichenko, Izmailov, Wilson, "Last layer re-training is sufficient for
robustness to spurious correlations" (ICLR 2023), deep feature reweighting.

The network keeps its features; a logistic regression on as many rows of every (class, group) cell takes the place of
its last layer.
"""

import torch
from torch import Tensor

from edgefair.models.last_layer import LastLayer
from edgefair.recipe.strategies import LastLayerSettings
from edgefair.seeds import generator
from edgefair.strategies.base import StepContext, Strategy
from edgefair.strategies.logistic import fit_logistic
from edgefair.strategies.refit import Rows, balanced_draw, cell_figures, check_classes, halves, logits_of, read_rows


class LastLayerRefit(Strategy):
    """Trained as plain; then head = (1 - lambda) * trained + lambda * refitted, on the rows that `strategy.rows` names.

    Features are standardised; the penalty C * sum CE + |W| with C of `strategy.strengths` is the one that serves the
    worst cell best on the half of the rows that was not fitted; the mean over `strategy.draws` fits to balanced draws
    is kept. As in the authors' program, whose class weights are not needed where cells are balanced.
    """

    settings_class = LastLayerSettings
    settings: LastLayerSettings

    def __init__(self, context: StepContext):
        super().__init__(context)
        self.layer = LastLayer(context.student)
        self.split = context.splits[self.settings.rows]
        known = self.split.labels[self.split.groups >= 0]
        check_classes(self.settings.name, self.settings.rows, known, context.class_names)

    @property
    def objective(self) -> str:
        settings = self.settings
        return (
            f"last-layer: L = L_task; then head = (1 - lambda) * trained + lambda * refitted, lambda = "
            f"{settings.lam:g}, refitted on cell-balanced {settings.rows} rows."
        )

    def finish(self) -> str:
        lam, settings = self.settings.lam, self.settings
        if not lam:
            return ""
        rows = read_rows(self.layer, self.split, self.context.num_groups)
        # Features that never change say nothing, and their deviation is no divisor.
        mean, deviation = rows.features.mean(0), rows.features.std(0, unbiased=False)
        deviation = torch.where(deviation > 1e-6 * (1 + mean.abs()), deviation, torch.ones_like(deviation))
        rows = rows._replace(features=(rows.features - mean) / deviation)
        strength = self._best_strength(rows)
        random = generator(self.context.seed, "last layer", "draws")
        draws = [balanced_draw(rows.cells, settings.most_rows, random) for _ in range(settings.draws)]
        theta = torch.stack([self._fit(rows.at(draw), strength) for draw in draws]).mean(0)
        weight = theta[:, :-1] / deviation
        bias = theta[:, -1] - weight @ mean
        self.layer.set(torch.lerp(self.layer.weight, weight, lam), torch.lerp(self.layer.bias, bias, lam))
        cells = len(torch.unique(rows.cells))
        return f"last layer refitted on {len(draws[0])} {settings.rows} rows of {cells} cells, C = {strength:g}"

    def _best_strength(self, rows: Rows) -> float:
        """The C whose fit to one half of the rows is best for the worst cell of the other; ties by cross-entropy."""
        settings, random = self.settings, generator(self.context.seed, "last layer", "strength")
        first, second = halves(rows.cells, random)
        if len(settings.strengths) == 1 or not len(second):
            return settings.strengths[0]
        part = rows.at(first)
        drawn, held = part.at(balanced_draw(part.cells, settings.most_rows, random)), rows.at(second)
        return max(settings.strengths, key=lambda c: cell_figures(logits_of(self._fit(drawn, c), held.features), held))

    def _fit(self, rows: Rows, strength: float) -> Tensor:
        start = rows.features.new_zeros(self.context.probe.logits.shape[1], rows.features.shape[1] + 1)
        even = rows.features.new_full((len(rows.labels),), 1 / len(rows.labels))
        l1, l2 = (float(self.settings.penalty == name) / (strength * len(rows.labels)) for name in ("l1", "l2"))
        return fit_logistic(rows.features, rows.labels, even, start, l1=l1, l2=l2)
