"""No teacher: the student alone."""

from torch import Tensor

from edgefair.losses.base import Loss
from edgefair.recipe.losses import CrossEntropySettings
from edgefair.tensors import Batch, Output


class CrossEntropy(Loss):
    """L = CE: what an undistilled network learns from."""

    settings_class = CrossEntropySettings
    settings: CrossEntropySettings

    needs_teacher = False

    def compute_terms(self, student: Output, teacher: Output | None, batch: Batch) -> dict[str, Tensor]:
        return {"ce": self.cross_entropy(student, batch)}
