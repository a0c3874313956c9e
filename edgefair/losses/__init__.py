"""Distillation losses: what the student learns from the teacher; one paper, one file, one formula."""

from edgefair.losses.base import Loss
from edgefair.losses.ckd import ClassicalDistillation
from edgefair.losses.none import CrossEntropy
from edgefair.losses.rkd import RelationalDistillation

LOSSES: dict[str, type[Loss]] = {
    "none": CrossEntropy,
    "ckd": ClassicalDistillation,
    "rkd": RelationalDistillation,
}
