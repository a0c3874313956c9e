"""Curriculum temperature: Li et al., "Curriculum temperature for knowledge distillation" (AAAI 2023).

The temperature is learned against the student: a gradient reversal whose strength grows over the first epochs.
"""

import math

import torch
from torch import Tensor, nn

from edgefair.losses.base import Loss, LossContext
from edgefair.losses.gradient_reversal import reverse_gradient
from edgefair.losses.soft_targets import soft_target_loss
from edgefair.recipe.losses import CtkdSettings
from edgefair.tensors import Batch, Output


class CurriculumTemperature(nn.Module):
    """tau = start + span * sigmoid(g), with the gradient of g multiplied by lambda(epoch) in [-1, 0] (eq. 4 and 7).

    lambda(e) = (cos(pi * min(e, E) / E) + 1) / 2 - 1, epochs e counted from 1, falls from almost 0 to -1 in E epochs:
    easy to hard. tau lies in (start, start + span) and begins at 15.6, since g begins at 1 as in the authors' code.
    """

    def __init__(self, start: float = 1.0, span: float = 20.0, epochs: int = 10):
        super().__init__()
        self.raw = nn.Parameter(torch.ones(1))
        self.start, self.span, self.epochs = start, span, epochs

    def strength(self, epoch: int) -> float:
        """lambda(epoch): what the gradient of the raw temperature is multiplied by, in [-1, 0]."""
        return 0.5 * (math.cos(math.pi * min(epoch, self.epochs) / self.epochs) + 1) - 1

    def temperature(self, epoch: int) -> Tensor:
        """The temperature [1] at this epoch; its backward pass reverses."""
        return self.start + self.span * torch.sigmoid(reverse_gradient(self.raw, -self.strength(epoch)))


class CurriculumDistillation(Loss):
    """L = (1 - alpha) * CE + alpha * tau^2 * KL(teacher || student) at the learned temperature tau.

    With `schedule = "attenuated"` tau = T / (1 + a * (e - 1)) falls each epoch e from 1, as paper A describes, and
    nothing is learned (its code also shrinks T at every batch, which underflows within an epoch; that is not followed).
    The gradient reaches tau through both softmaxes and the factor tau^2. tau is kept in single precision, and being one
    number it is not decayed.
    """

    settings_class = CtkdSettings
    settings: CtkdSettings

    def __init__(self, settings: CtkdSettings, context: LossContext):
        super().__init__(settings, context)
        span = settings.temperature_span
        learned = settings.schedule == "learned"
        self.curriculum = CurriculumTemperature(1.0, span, settings.curriculum_epochs) if learned else None

    def temperature(self) -> Tensor | float:
        """The temperature of the current epoch."""
        if self.curriculum is not None:
            return self.curriculum.temperature(self.epoch)
        return self.settings.temperature / (1 + self.settings.attenuation * (self.epoch - 1))

    def extra_metrics(self) -> dict[str, float]:
        with torch.no_grad():
            return {"temperature": float(self.temperature())}

    def compute_terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        alpha = self.settings.alpha
        soft = soft_target_loss(student.logits, teacher.logits, self.temperature(), batch.weights)
        return {"ce": (1 - alpha) * self.cross_entropy(student, batch), "ctkd": alpha * soft.squeeze()}
