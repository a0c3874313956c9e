"""A moving average of a network's weights."""

from timm.utils import ModelEmaV3

from edgefair.models import Classifier


class Average(ModelEmaV3):
    """Exponential moving average of weights and batch statistics; `module` is the averaged network.

    The decay grows with the steps, n / (n + 1), until it is `decay`: what comes early is not the initial weights.
    """

    def __init__(self, student: Classifier, decay: float):
        super().__init__(student, decay=decay, use_warmup=True, warmup_power=1.0)
