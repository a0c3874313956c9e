"""KD++: Wang et al., "Improving knowledge distillation via regularizing feature norm and direction" (2023).

Student features are pulled to the direction of their class's mean teacher feature, and made longer.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgefair.losses.base import Loss, LossContext
from edgefair.losses.soft_targets import soft_target_loss
from edgefair.recipe.losses import KdppSettings
from edgefair.tensors import Batch, Output, row_mean


def norm_direction_loss(
    student_features: Tensor,
    teacher_features: Tensor,
    labels: Tensor,
    class_means: Tensor,
    weights: Tensor | None = None,
) -> Tensor:
    """mean_i 1 - <s_i, e_{y_i}> / max(||s_i||, ||t_i||), with e_c the class mean at unit length (eq. 8).

    student_features, teacher_features [B, D], labels, weights [B], class_means [C, D]. The maximum is not detached, as
    in the authors' code: a student shorter than the teacher gains by growing, a longer one only by turning. Range
    [0, 2]; a row with both features zero counts 1.
    """
    direction = functional.normalize(class_means, dim=1)[labels]  # [B, D]
    longest = torch.maximum(_norm(student_features), _norm(teacher_features))  # [B]
    along = (student_features * direction).sum(dim=1)
    return row_mean(1 - along / longest.clamp(min=1e-12), weights)


def _norm(x: Tensor) -> Tensor:
    # The norm's gradient at zero is not defined; here it is 0.
    squared = (x * x).sum(dim=1)
    return torch.where(squared > 0, torch.where(squared > 0, squared, 1).sqrt(), 0)


class NormDirection(Loss):
    """L = CE + kd * min(1, (e - 1) / warmup) * T^2 KL + nd * L_nd; epochs e from 1, so KD is off in the first.

    Where the student's features are narrower or wider than the teacher's, a projector (batch norm, dropout 0.5, linear)
    maps them for this term alone, as in the authors' code; it is left behind at export.
    """

    settings_class = KdppSettings
    settings: KdppSettings
    class_means: Tensor

    needs_class_means = True

    def __init__(self, settings: KdppSettings, context: LossContext):
        super().__init__(settings, context)
        self.register_buffer("class_means", context.class_means)
        width, target = context.widths
        self.project: nn.Module = nn.Identity()
        if width != target:
            self.project = nn.Sequential(nn.BatchNorm1d(width), nn.Dropout(0.5), nn.Linear(width, target))

    def compute_terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        settings = self.settings
        ramp = min(1.0, (self.epoch - 1) / settings.kd_warmup_epochs) if settings.kd_warmup_epochs else 1.0
        soft = soft_target_loss(student.logits, teacher.logits, settings.temperature, batch.weights)
        # A batch of one has no batch statistics: the projector then uses its running ones.
        self.project.train(self.training and len(batch.labels) > 1)
        projected = self.project(student.features)
        direction = norm_direction_loss(projected, teacher.features, batch.labels, self.class_means, batch.weights)
        return {
            "ce": self.cross_entropy(student, batch),
            "kd": settings.kd_weight * ramp * soft,
            "norm_direction": settings.nd_weight * direction,
        }
