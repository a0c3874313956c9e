"""Soft targets: the term that CKD, CTKD and KD++ share; Hinton, Vinyals, Dean (2015)."""

from torch import Tensor
from torch.nn import functional

from edgefair.tensors import row_mean


def soft_target_loss(
    student_logits: Tensor, teacher_logits: Tensor, temperature: float | Tensor, weights: Tensor | None = None
) -> Tensor:
    """T^2 * KL(softmax(t / T) || softmax(s / T)), summed over classes, mean over the batch.

    student_logits, teacher_logits: [B, C]; weights [B] of the rows in the mean. T^2 keeps the gradient's size when T
    changes (section 2.1 of the paper); its gradient in s is (T / B) * (softmax(s / T) - softmax(t / T)).
    """
    student = functional.log_softmax(student_logits / temperature, dim=1)  # [B, C]
    teacher = functional.log_softmax(teacher_logits / temperature, dim=1)  # [B, C]
    if weights is None:
        return temperature**2 * functional.kl_div(student, teacher, reduction="batchmean", log_target=True)
    rows = functional.kl_div(student, teacher, reduction="none", log_target=True).sum(dim=1)  # [B]
    return temperature**2 * row_mean(rows, weights)
