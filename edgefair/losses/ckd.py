"""Classical knowledge distillation: Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network" (2015)."""

from torch import Tensor

from edgefair.losses.base import Loss
from edgefair.losses.soft_targets import soft_target_loss
from edgefair.recipe.losses import CkdSettings
from edgefair.tensors import Batch, Output

__all__ = ["ClassicalDistillation", "soft_target_loss"]


class ClassicalDistillation(Loss):
    """L = (1 - alpha) * CE + alpha * T^2 * KL(teacher || student)."""

    settings_class = CkdSettings
    settings: CkdSettings

    def compute_terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        alpha = self.settings.alpha
        return {
            "ce": (1 - alpha) * self.cross_entropy(student, batch),
            "ckd": alpha * soft_target_loss(student.logits, teacher.logits, self.settings.temperature, batch.weights),
        }
