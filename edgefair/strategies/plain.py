"""No debiasing: the loss alone."""

from edgefair.recipe.strategies import PlainSettings
from edgefair.strategies.base import Strategy
from edgefair.tensors import Batch


class Plain(Strategy):
    """L = L_task: distillation and cross-entropy, nothing for fairness."""

    settings_class = PlainSettings
    settings: PlainSettings

    objective = "plain: L = L_task; lambda is not used."

    def step(self, batch: Batch) -> dict[str, float]:
        _, terms = self.forward(batch)
        return self.backward_and_step(terms)
