"""Relational knowledge distillation: Park, Kim, Lu, Cho, "Relational knowledge distillation" (CVPR 2019).

Distances and angles within a batch carry over, so student and teacher features may differ in width.
"""

import torch
from torch import Tensor
from torch.nn import functional

from edgefair.losses.base import Loss
from edgefair.tensors import Batch, Output


def _gram(features: Tensor) -> Tensor:
    # Relations do not change when all features move together; centring keeps fp32 from losing them in a large offset.
    centred = features - features.mean(0).detach()
    return centred @ centred.T  # [B, B]


def _squared_distances(gram: Tensor) -> Tensor:
    norms = gram.diagonal()
    return norms[:, None] + norms[None, :] - 2 * gram  # [B, B]


def _relative_distances(features: Tensor) -> Tensor:
    squared = _squared_distances(_gram(features)).clamp(min=1e-12)
    off_diagonal = 1 - torch.eye(len(features), dtype=squared.dtype, device=squared.device)
    distance = squared.sqrt() * off_diagonal  # [B, B]
    return distance / (distance.sum() / off_diagonal.sum().clamp(min=1))


def distance_loss(student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """Smooth-L1 of pairwise distances, each divided by its network's mean distance (eq. 4 and 5); mean over B * B.

    student_features [B, D], teacher_features [B, E]. The student's mean is in the gradient, as in the authors' code.
    """
    return functional.smooth_l1_loss(_relative_distances(student_features), _relative_distances(teacher_features))


def _angles(features: Tensor) -> Tensor:
    """Cosines of the angle at i between j and k, [B, B, B], from inner products alone: no B x B x D tensor."""
    gram = _gram(features)
    squared = _squared_distances(gram)
    norms = gram.diagonal()
    # <x_j - x_i, x_k - x_i> = G_jk - G_ij - G_ik + G_ii
    inner = gram[None, :, :] - gram[:, :, None] - gram[:, None, :] + norms[:, None, None]
    apart = squared > 1e-12 * norms.max().detach().clamp(min=1e-12)  # coincident points have no direction: cosine 0
    inverse = torch.where(apart, torch.where(apart, squared, 1).rsqrt(), 0)
    return inner * inverse[:, :, None] * inverse[:, None, :]


def angle_loss(student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """Smooth-L1 of the cosines of all angles between triples of the batch (eq. 6 and 7); mean over B * B * B.

    student_features [B, D], teacher_features [B, E].
    """
    return functional.smooth_l1_loss(_angles(student_features), _angles(teacher_features))


class RelationalDistillation(Loss):
    """L = CE + 25 * L_distance + 50 * L_angle on penultimate features (weights of the authors' classification runs)."""

    def own_terms(self, student: Output, teacher: Output | None, batch: Batch) -> dict[str, Tensor]:
        return {
            "ce": self.cross_entropy(student, batch),
            "rkd_distance": self.recipe.distance_weight * distance_loss(student.features, teacher.features),
            "rkd_angle": self.recipe.angle_weight * angle_loss(student.features, teacher.features),
        }
