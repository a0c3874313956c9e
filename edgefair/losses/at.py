"""Attention transfer: Zagoruyko and Komodakis, "Paying more attention to attention" (ICLR 2017)."""

from torch import Tensor
from torch.nn import functional

from edgefair.errors import RecipeError
from edgefair.losses.base import Loss, LossContext
from edgefair.recipe.losses import AtSettings
from edgefair.tensors import Batch, Output, add, row_mean


def attention(maps: Tensor) -> Tensor:
    """mean over channels of f^2, flattened and scaled to unit length: [B, H * W]."""
    return functional.normalize(maps.pow(2).mean(dim=1).flatten(1))


def attention_loss(
    student_map: Tensor, teacher_map: Tensor, form: str = "code", weights: Tensor | None = None
) -> Tensor:
    """Distance of the two attention maps [B, K, H, W]; channels may differ, the larger is pooled; weights [B] of rows.

    "code", the authors' program: mean over batch and places of (A_s - A_t)^2. "paper", its eq. 2: mean over the
    batch of ||A_s - A_t||_2. The ratio of the two is not constant, so weights do not carry over.
    """
    if form not in ("code", "paper"):
        raise RecipeError(f"loss.at_form is '{form}'; allowed are 'code' and 'paper'.")
    height, width = (min(a, b) for a, b in zip(student_map.shape[2:], teacher_map.shape[2:], strict=True))
    student, teacher = (functional.adaptive_avg_pool2d(part, (height, width)) for part in (student_map, teacher_map))
    difference = attention(student) - attention(teacher)
    if form == "code":
        return difference.pow(2).mean() if weights is None else row_mean(difference.pow(2).mean(dim=1), weights)
    return row_mean(difference.norm(dim=1), weights)


class AttentionTransfer(Loss):
    """L = CE + weight * sum over stages of L_at; weight 1000 for the form "code", 0.1 or so for "paper"."""

    settings_class = AtSettings
    settings: AtSettings

    needs_maps = True

    def __init__(self, settings: AtSettings, context: LossContext):
        super().__init__(settings, context)
        counts = [len(context.maps(whose)) for whose in ("student", "teacher")]
        if not all(counts) or counts[0] != counts[1]:
            raise RecipeError(
                f"attention transfer needs as many stage maps of the student as of the teacher; there are {counts[0]} "
                f"(student: {context.stages('student')}) and {counts[1]} (teacher: {context.stages('teacher')}). "
                f"Choose networks of one family, or {context.advice}."
            )

    def compute_terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        pairs = zip(student.maps or (), teacher.maps or (), strict=True)
        total = add(attention_loss(*pair, form=self.settings.at_form, weights=batch.weights) for pair in pairs)
        return {"ce": self.cross_entropy(student, batch), "attention": self.settings.at_weight * total}
