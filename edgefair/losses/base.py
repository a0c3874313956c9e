"""What every loss shares."""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple, cast

from torch import Tensor, nn
from torch.nn import functional

from edgefair.losses.soft_targets import soft_target_loss
from edgefair.recipe.losses import LossSettings
from edgefair.tensors import Batch, Output, add, row_mean


class LossContext(NamedTuple):
    """What a loss may need to know before training: a probe Output of each network, and the teacher's class means.

    For messages: `student_layers` and `teacher_layers` name the layers that the stage maps come from, `without_maps`
    the losses that need no stage maps.
    """

    student: Output
    teacher: Output | None
    num_classes: int
    num_groups: int
    class_means: Tensor | None = None  # [C, D of the teacher], from training rows in eval mode
    label_smoothing: float = 0.0
    student_layers: tuple[str, ...] = ()
    teacher_layers: tuple[str, ...] = ()
    without_maps: tuple[str, ...] = ()

    @property
    def advice(self) -> str:
        """What to choose where stage maps do not fit."""
        return f"a loss that needs no maps ({', '.join(self.without_maps) or 'see edgefair recipe'})"

    @property
    def widths(self) -> tuple[int, int]:
        """How many features student and teacher have."""
        assert self.teacher is not None  # asked only by losses that need one
        return self.student.features.shape[1], self.teacher.features.shape[1]

    def maps(self, whose: str) -> tuple[Tensor, ...]:
        """The probe's stage maps of "student" or "teacher"; none where the network gives none."""
        output: Output | None = getattr(self, whose)
        return (output and output.maps) or ()

    def stages(self, whose: str) -> str:
        """The stage maps of "student" or "teacher" with layer names and shapes, for messages."""
        layers = getattr(self, f"{whose}_layers")
        shapes = [str(tuple(part.shape[1:])) for part in self.maps(whose)]
        named = [*layers, *(f"stage {k}" for k in range(len(layers), len(shapes)))]
        return ", ".join(f"{name} {shape}" for name, shape in zip(named, shapes, strict=False)) or "none"


class Loss(nn.Module, ABC):
    """A callable (student, teacher, batch) -> scalar; it may own parameters, such as a projector.

    The teacher's output comes without gradient; a gated one (BIRD) carries that of its gate, which a loss must not cut.
    Shapes that do not fit are refused when it is built, before training. `terms` gives the weighted summands by name,
    for the log; calling the loss adds them up. Terms that are means over rows follow `batch.weights`; what compares
    rows with one another, or cells, does not.
    """

    settings_class: ClassVar[type[LossSettings]]
    settings: LossSettings
    needs_teacher = True
    needs_maps = False
    needs_class_means = False

    def __init__(self, settings: LossSettings, context: LossContext):
        super().__init__()
        self.settings = settings
        self.label_smoothing = context.label_smoothing
        self.epoch = 1
        self.needs_teacher = self.needs_teacher or settings.plus_ckd > 0

    def start_epoch(self, epoch: int) -> None:
        """Called before each epoch, counted from 1; curricula and warm-ups depend on it."""
        self.epoch = epoch

    def extra_metrics(self) -> dict[str, float]:
        """Values of the loss's own for the log, such as a learned temperature."""
        return {}

    def cross_entropy(self, student: Output, batch: Batch) -> Tensor:
        """CE of the student's logits and the true labels, mean over the batch, weighted where it has weights."""
        smoothing = self.label_smoothing
        if batch.weights is None:
            return functional.cross_entropy(student.logits, batch.labels, label_smoothing=smoothing)
        rows = functional.cross_entropy(student.logits, batch.labels, reduction="none", label_smoothing=smoothing)
        return row_mean(rows, batch.weights)

    @abstractmethod
    def compute_terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The weighted summands of this loss by name, scalars; without `needs_teacher` the teacher may be None."""

    def terms(self, student: Output, teacher: Output | None, batch: Batch) -> dict[str, Tensor]:
        """The weighted summands by name, with CKD's soft targets where the settings add them."""
        given = cast("Output", teacher)  # None only where `needs_teacher` says that nobody looks at it
        terms = self.compute_terms(student, given, batch)
        if self.settings.plus_ckd:
            soft = soft_target_loss(student.logits, given.logits, self.settings.temperature, batch.weights)
            terms["plus_ckd"] = self.settings.plus_ckd * soft
        return terms

    def forward(self, student: Output, teacher: Output | None, batch: Batch) -> Tensor:
        return add(self.terms(student, teacher, batch).values())
