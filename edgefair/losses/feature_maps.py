"""Stage maps for the losses that compare them."""

from torch import Tensor

from edgefair.errors import RecipeError
from edgefair.losses.base import LossContext


def pick(context: LossContext, stage: int) -> tuple[Tensor, Tensor]:
    """The probe maps [2, K, H, W] of student and teacher at a stage; raises RecipeError where one has no such stage."""
    for name in ("student", "teacher"):
        count = len(context.maps(name))
        if not -count <= stage < count:
            raise RecipeError(
                f"the {name} has {count} stage maps ({context.stages(name)}), so there is no stage {stage} (counted "
                f"from 0, or back from -1). Set another loss.hint_stage, or choose {context.advice}."
            )
    return context.maps("student")[stage], context.maps("teacher")[stage]
