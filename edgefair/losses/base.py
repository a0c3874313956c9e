"""What every loss shares."""

from abc import ABC, abstractmethod

from torch import Tensor, nn
from torch.nn import functional

from edgefair.recipe import LossRecipe
from edgefair.tensors import Batch, Output


class Loss(nn.Module, ABC):
    """A callable (student, teacher, batch) -> scalar; it may own parameters, such as a projector.

    Built from the recipe and one probe Output of each network, so that shapes that do not fit are refused before
    training. `terms` gives the weighted summands by name, for the log; calling the loss adds them up.
    """

    needs_teacher = True
    needs_maps = False

    def __init__(self, recipe: LossRecipe, student: Output, teacher: Output | None, label_smoothing: float = 0.0):
        super().__init__()
        self.recipe = recipe
        self.label_smoothing = label_smoothing

    def cross_entropy(self, student: Output, batch: Batch) -> Tensor:
        """CE of the student's logits and the true labels, mean over the batch."""
        return functional.cross_entropy(student.logits, batch.labels, label_smoothing=self.label_smoothing)

    @abstractmethod
    def terms(self, student: Output, teacher: Output | None, batch: Batch) -> dict[str, Tensor]:
        """The weighted summands by name; each is a scalar."""

    def forward(self, student: Output, teacher: Output | None, batch: Batch) -> Tensor:
        return sum(self.terms(student, teacher, batch).values())
