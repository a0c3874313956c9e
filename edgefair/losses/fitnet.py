"""FitNets: Romero et al., "FitNets: hints for thin deep nets" (ICLR 2015), in one stage as RepDistiller trains it."""

from torch import Tensor, nn
from torch.nn import functional

from edgefair.errors import RecipeError
from edgefair.losses.base import Loss, LossContext
from edgefair.losses.feature_maps import pick
from edgefair.recipe.losses import FitnetSettings
from edgefair.tensors import Batch, Output, row_mean


def hint_loss(student_map: Tensor, teacher_map: Tensor, weights: Tensor | None = None) -> Tensor:
    """mean over all elements of (s - t)^2; both of the same shape [B, K, H, W], weights [B] of the rows."""
    if weights is None:
        return functional.mse_loss(student_map, teacher_map)
    return row_mean((student_map - teacher_map).pow(2).flatten(1).mean(dim=1), weights)


class Regressor(nn.Module):
    """Maps a student's map to the teacher's shape: convolution, batch norm, ReLU (for hints taken after a ReLU).

    Stride 2 where the student's map is twice as large, a transposed one where it is half as large, else an unpadded
    kernel of the difference plus one. Raises RecipeError where the student's map is smaller in any other ratio.
    """

    def __init__(
        self,
        student: Tensor,
        teacher: Tensor,
        where: str = "loss.hint_stage",
        advice: str = "a loss that needs no maps",
    ):
        super().__init__()
        (_, inputs, height, width), (_, outputs, rows, columns) = student.shape, teacher.shape
        if (height, width) == (2 * rows, 2 * columns):
            self.conv: nn.Module = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
        elif (2 * height, 2 * width) == (rows, columns):
            self.conv = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)
        elif height >= rows and width >= columns:
            self.conv = nn.Conv2d(inputs, outputs, (1 + height - rows, 1 + width - columns))
        else:
            raise RecipeError(
                f"{where}: no regressor maps the student's map {tuple(student.shape[1:])} to the teacher's "
                f"{tuple(teacher.shape[1:])}: the student's must be larger, equal, or exactly half as large. "
                f"Choose another loss.hint_stage, or {advice}."
            )
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn(self.conv(x)))


class Hint(Loss):
    """L = CE + 100 * mean (Reg(student map) - teacher map)^2 at one stage (`loss.hint_stage`, counted from 0)."""

    settings_class = FitnetSettings
    settings: FitnetSettings

    needs_maps = True

    def __init__(self, settings: FitnetSettings, context: LossContext):
        super().__init__(settings, context)
        where = f"student {context.stages('student')}; teacher {context.stages('teacher')}; stage {settings.hint_stage}"
        self.regressor = Regressor(*pick(context, settings.hint_stage), where, context.advice)

    def compute_terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        stage = self.settings.hint_stage
        hint = hint_loss(self.regressor((student.maps or ())[stage]), (teacher.maps or ())[stage], batch.weights)
        return {"ce": self.cross_entropy(student, batch), "hint": self.settings.hint_weight * hint}
