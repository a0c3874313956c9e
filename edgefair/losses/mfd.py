"""MFD: Jung, Lee, Park, Moon, "Fair feature distillation for visual recognition" (CVPR 2021).

For every class, the student's features of each group are drawn to the teacher's features of all groups together.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgefair.losses.base import Loss, LossContext
from edgefair.recipe.losses import MfdSettings
from edgefair.tensors import Batch, Output


def group_mmd(
    student_features: Tensor,
    teacher_features: Tensor,
    labels: Tensor,
    groups: Tensor,
    num_classes: int,
    num_groups: int,
    sigma: float = 1.0,
) -> Tensor:
    """sum over classes c and groups g of MMD^2(teacher of c, student of c, g), biased, over cells with rows.

    k(a, b) = exp(-||a - b||^2 / (2 * sigma * m)), with m the batch mean of ||t_i - s_j||^2, not differentiated.
    student_features, teacher_features [B, D]; labels, groups [B] below num_classes and num_groups, group -1 left out on
    both sides; sigma a factor of the bandwidth. All cells at once: kernel sums by one-hot matrices. Where paper and
    code differ, the code is followed: cells are summed, sigma is not squared.
    """
    known = groups >= 0
    s, t = student_features[known], teacher_features[known]
    if not len(s):
        return student_features.sum() * 0
    y, cell = labels[known], labels[known] * num_groups + groups[known]
    mean = _squared(t, s).detach().mean()
    kernel = [torch.exp(-_squared(a, b) / (2 * sigma * mean)) for a, b in ((t, t), (s, s), (t, s))]  # [B, B] each
    of_class = functional.one_hot(y, num_classes).to(s.dtype)  # [B, C]
    of_cell = functional.one_hot(cell, num_classes * num_groups).to(s.dtype)  # [B, C * G]
    class_size = of_class.sum(0).repeat_interleave(num_groups)  # [C * G]
    cell_size = of_cell.sum(0)
    tt = torch.einsum("ic,ij,jc->c", of_class, kernel[0], of_class).repeat_interleave(num_groups)
    ss = torch.einsum("ic,ij,jc->c", of_cell, kernel[1], of_cell)
    ts = torch.einsum("ic,ij,jc->c", of_class.repeat_interleave(num_groups, dim=1), kernel[2], of_cell)
    n, m = class_size.clamp(min=1), cell_size.clamp(min=1)
    mmd = tt / n**2 + ss / m**2 - 2 * ts / (n * m)  # [C * G]
    return mmd[cell_size > 0].sum()


def _squared(a: Tensor, b: Tensor) -> Tensor:
    squared = (a * a).sum(1)[:, None] + (b * b).sum(1)[None, :] - 2 * a @ b.T
    return squared.clamp(min=1e-12)


class FairFeatures(Loss):
    """L = CE + weight / 2 * sum of group MMDs on pooled features; a linear projector where the widths differ."""

    settings_class = MfdSettings
    settings: MfdSettings

    def __init__(self, settings: MfdSettings, context: LossContext):
        super().__init__(settings, context)
        self.num_classes, self.num_groups = context.num_classes, context.num_groups
        width, target = context.widths
        self.project = nn.Identity() if width == target else nn.Linear(width, target)

    def compute_terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        sizes = (self.num_classes, self.num_groups)
        mmd = group_mmd(
            self.project(student.features), teacher.features, batch.labels, batch.groups, *sizes, self.settings.sigma
        )
        return {"ce": self.cross_entropy(student, batch), "mmd": 0.5 * self.settings.mfd_weight * mmd}
