"""Classical knowledge distillation: Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network" (2015)."""

from torch import Tensor
from torch.nn import functional

from edgefair.losses.base import Loss
from edgefair.tensors import Batch, Output


def soft_target_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float | Tensor) -> Tensor:
    """T^2 * KL(softmax(t / T) || softmax(s / T)), summed over classes, mean over the batch.

    student_logits, teacher_logits: [B, C]. T^2 keeps the gradient's size when T changes (section 2.1 of the paper);
    its gradient in s is (T / B) * (softmax(s / T) - softmax(t / T)).
    """
    student = functional.log_softmax(student_logits / temperature, dim=1)  # [B, C]
    teacher = functional.log_softmax(teacher_logits / temperature, dim=1)  # [B, C]
    return temperature**2 * functional.kl_div(student, teacher, reduction="batchmean", log_target=True)


class ClassicalDistillation(Loss):
    """L = (1 - alpha) * CE + alpha * T^2 * KL(teacher || student)."""

    def terms(self, student: Output, teacher: Output | None, batch: Batch) -> dict[str, Tensor]:
        alpha = self.recipe.alpha
        return {
            "ce": (1 - alpha) * self.cross_entropy(student, batch),
            "ckd": alpha * soft_target_loss(student.logits, teacher.logits, self.recipe.temperature),
        }
