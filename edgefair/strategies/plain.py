"""No debiasing: the loss alone."""

from edgefair.recipe.strategies import PlainSettings
from edgefair.strategies.base import Strategy


class Plain(Strategy):
    """L = L_task: distillation and cross-entropy, nothing for fairness."""

    settings_class = PlainSettings
    settings: PlainSettings

    objective = "plain: L = L_task; lambda is not used."
