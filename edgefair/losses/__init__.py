"""Distillation losses: what the student learns from the teacher; one paper, one file, one formula."""

from edgefair.losses.at import AttentionTransfer
from edgefair.losses.base import Loss, LossContext
from edgefair.losses.ckd import ClassicalDistillation
from edgefair.losses.cross_entropy import CrossEntropy
from edgefair.losses.ctkd import CurriculumDistillation
from edgefair.losses.fitnet import Hint
from edgefair.losses.kdpp import NormDirection
from edgefair.losses.mfd import FairFeatures
from edgefair.losses.rkd import RelationalDistillation

LOSSES: dict[str, type[Loss]] = {
    "none": CrossEntropy,
    "ckd": ClassicalDistillation,
    "ctkd": CurriculumDistillation,
    "rkd": RelationalDistillation,
    "kdpp": NormDirection,
    "fitnet": Hint,
    "at": AttentionTransfer,
    "mfd": FairFeatures,
}

__all__ = ["LOSSES", "Loss", "LossContext"]
