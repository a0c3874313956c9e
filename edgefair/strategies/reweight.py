"""Every (class, group) cell counts as much: the weights of Sagawa et al., "An investigation of why overparameterization
exacerbates spurious correlations" (ICML 2020), section 2, on whatever the loss learns from."""

import torch
from torch import Tensor

from edgefair.recipe.strategies import ReweightSettings
from edgefair.strategies.base import StepContext, Strategy
from edgefair.strategies.cell_sums import cell_sums
from edgefair.tensors import Batch


def cell_weights(chances: Tensor, labels: Tensor, groups: Tensor, num_classes: int, num_groups: int) -> Tensor:
    """w_c = p / (K * p_c) for the K (class, group) cells that are shown: [C, G], 0 for the others.

    chances [N] of the rows to be shown, sum 1; p_c those of a cell's rows, p of all rows of known group. So the cells
    count as much, and the mean weight of shown rows is 1. labels, groups [N]; group -1 unknown.
    """
    share, _ = cell_sums(chances, labels, groups, num_classes, num_groups)  # [C, G]
    shown = share > 0
    each = share.sum() / shown.sum().clamp(min=1)
    return torch.where(shown, each / torch.where(shown, share, 1), 0)


class Reweight(Strategy):
    """L = L_task with the weight 1 - lambda + lambda * w_c on a row of cell c; rows of unknown group keep 1."""

    settings_class = ReweightSettings
    settings: ReweightSettings

    def __init__(self, context: StepContext):
        super().__init__(context)
        train = context.splits["train"]
        assert context.row_chances is not None  # comes with the rows
        sizes = context.probe.logits.shape[1], context.num_groups
        table = cell_weights(context.row_chances, train.labels.cpu(), train.groups.cpu(), *sizes)
        lam = self.settings.lam
        self.cell_weights = (1 - lam + lam * table).to(self.device, context.probe.logits.dtype)  # [C, G]

    @property
    def objective(self) -> str:
        return (
            f"reweight: L = L_task, each row weighted by 1 - lambda + lambda * w, lambda = {self.settings.lam:g}; w "
            "gives every (class, group) cell of the training rows the same weight."
        )

    def step(self, batch: Batch) -> dict[str, float]:
        if self.settings.lam:
            weights = self.cell_weights[batch.labels, batch.groups.clamp(min=0)]
            batch = batch._replace(weights=torch.where(batch.groups >= 0, weights, 1))
        return super().step(batch)
