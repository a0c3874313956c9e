"""Stage maps for the losses that compare them."""

from torch import Tensor

from edgefair.errors import RecipeError
from edgefair.losses.base import Setup


def pick(setup: Setup, stage: int) -> tuple[Tensor, Tensor]:
    """The probe maps [2, K, H, W] of student and teacher at a stage; raises RecipeError where one has no such stage."""
    for name, output in (("student", setup.student), ("teacher", setup.teacher)):
        count = len(output.maps or ())
        if not -count <= stage < count:
            raise RecipeError(
                f"the {name} has {count} stage maps ({setup.stages(name)}), so there is no stage {stage} (counted from "
                "0, or back from -1). Set another loss.hint_stage, or choose a loss that needs no maps (ckd, rkd, "
                "kdpp, mfd)."
            )
    return setup.student.maps[stage], setup.teacher.maps[stage]
