"""No teacher: the student alone."""

from torch import Tensor

from edgefair.losses.base import Loss
from edgefair.tensors import Batch, Output


class CrossEntropy(Loss):
    """L = CE: what an undistilled network learns from."""

    needs_teacher = False

    def own_terms(self, student: Output, teacher: Output | None, batch: Batch) -> dict[str, Tensor]:
        return {"ce": self.cross_entropy(student, batch)}
