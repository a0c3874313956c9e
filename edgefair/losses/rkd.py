"""Relational knowledge distillation: Park, Kim, Lu, Cho, "Relational knowledge distillation" (CVPR 2019).

Distances and angles within a batch carry over, so student and teacher features may differ in width.
"""

import torch
from torch import Tensor
from torch.nn import functional

from edgefair.losses.base import Loss
from edgefair.losses.rkd_angles import angle_difference, squared_distances
from edgefair.recipe.losses import RkdSettings
from edgefair.tensors import Batch, Output, to_fp32


def _gram(features: Tensor) -> Tensor:
    # Relations do not change when all features move together; centring keeps fp32 from losing them in a large offset.
    # Under autocast the product would be taken in bf16, whose eight bits leave nothing of small distances.
    with torch.autocast(features.device.type, enabled=False):
        features = to_fp32(features)
        centred = features - features.mean(0).detach()
        return centred @ centred.T  # [B, B]


def _relative_distances(features: Tensor) -> Tensor:
    squared = squared_distances(_gram(features)).clamp(min=1e-12)
    off_diagonal = 1 - torch.eye(len(features), dtype=squared.dtype, device=squared.device)
    distance = squared.sqrt() * off_diagonal  # [B, B]
    mean = distance.sum() / off_diagonal.sum().clamp(min=1)
    return distance / mean.clamp(min=1e-12)  # a single row has no distance to divide by


def distance_loss(student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """Smooth-L1 of pairwise distances, each divided by its network's mean distance (eq. 4 and 5); mean over B * B.

    student_features [B, D], teacher_features [B, E]. The student's mean is in the gradient, as in the authors' code.
    """
    return functional.smooth_l1_loss(_relative_distances(student_features), _relative_distances(teacher_features))


def angle_loss(student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """Smooth-L1 of the cosines of all angles between triples of the batch (eq. 6 and 7); mean over B * B * B.

    student_features [B, D], teacher_features [B, E]. Memory grows with B * B.
    """
    return angle_difference(_gram(student_features), _gram(teacher_features))


class RelationalDistillation(Loss):
    """L = CE + 25 * L_distance + 50 * L_angle on penultimate features (weights of the authors' classification runs)."""

    settings_class = RkdSettings
    settings: RkdSettings

    def compute_terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        return {
            "ce": self.cross_entropy(student, batch),
            "rkd_distance": self.settings.distance_weight * distance_loss(student.features, teacher.features),
            "rkd_angle": self.settings.angle_weight * angle_loss(student.features, teacher.features),
        }
