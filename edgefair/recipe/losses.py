"""[loss]: what the student learns. One class a loss, of the settings that this loss reads; `name` says which.

The loss itself is the class of the same name in edgefair.losses, which this file may not import: recipes need no torch.
"""

from typing import Annotated, Literal

from pydantic import Field

from edgefair.recipe.base import Count, Positive, Section, Share, Weight
from edgefair.recipe.choice import Choice


class LossSettings(Section):
    """What every loss has."""

    name: str
    temperature: Positive = 4.0
    """Temperature of both softmaxes in a soft target term."""
    plus_ckd: Weight = 0.0
    """Adds this times T^2 KL(teacher || student) at `temperature` to the loss."""

    def without_warmup(self) -> "LossSettings":
        """The same without terms that grow over the first epochs: for a student that is trained already."""
        return self


class CrossEntropySettings(LossSettings):
    """No teacher: cross-entropy alone."""

    name: Literal["none"] = "none"


class CkdSettings(LossSettings):
    """Classical distillation: soft targets."""

    name: Literal["ckd"] = "ckd"
    alpha: Share = 0.9
    """Weight of the soft target term; the cross-entropy gets 1 - alpha."""


class CtkdSettings(LossSettings):
    """Soft targets at a temperature that is learned, or falls by a rule."""

    name: Literal["ctkd"] = "ctkd"
    alpha: Share = 0.9
    """Weight of the soft target term; the cross-entropy gets 1 - alpha."""
    schedule: Literal["learned", "attenuated"] = "learned"
    """A learned temperature against a growing gradient reversal, or `temperature` falling by a fixed rule."""
    temperature_span: Positive = 20.0
    """The learned temperature lies between 1 and 1 + this."""
    curriculum_epochs: Count = 10
    """Epochs until the gradient reversal has its full strength."""
    attenuation: Weight = 0.1
    """Schedule attenuated: the temperature is divided by 1 + this * (epoch - 1)."""

    def without_warmup(self) -> "CtkdSettings":
        return self.model_copy(update={"curriculum_epochs": 1})


class RkdSettings(LossSettings):
    """Distances and angles between the rows of a batch."""

    name: Literal["rkd"] = "rkd"
    distance_weight: Weight = 25.0
    """Weight of the distance term."""
    angle_weight: Weight = 50.0
    """Weight of the angle term."""


class KdppSettings(LossSettings):
    """Soft targets, and the norm and direction of features."""

    name: Literal["kdpp"] = "kdpp"
    kd_weight: Weight = 1.0
    """Weight of the soft target term."""
    nd_weight: Weight = 2.0
    """Weight of the norm-and-direction term."""
    kd_warmup_epochs: Annotated[int, Field(ge=0)] = 20
    """Epochs over which the soft target term grows from 0 to its weight."""

    def without_warmup(self) -> "KdppSettings":
        return self.model_copy(update={"kd_warmup_epochs": 0})


class FitnetSettings(LossSettings):
    """The teacher's map at one stage, as a hint."""

    name: Literal["fitnet"] = "fitnet"
    hint_stage: int = 1
    """Stage whose maps are compared, counted from 0; -1 is the last."""
    hint_weight: Weight = 100.0
    """Weight of the hint term."""


class AtSettings(LossSettings):
    """Attention maps of every stage."""

    name: Literal["at"] = "at"
    at_weight: Weight = 1000.0
    """Weight of the attention term; 1000 belongs to the form "code"."""
    at_form: Literal["code", "paper"] = "code"
    """The squared form of the authors' program, or the norm of their paper."""


class MfdSettings(LossSettings):
    """Features of each group drawn to the teacher's of all groups."""

    name: Literal["mfd"] = "mfd"
    mfd_weight: Weight = 3.0
    """Weight of the group MMD; half of it multiplies the sum over cells."""
    sigma: Positive = 1.0
    """Factor of the kernel's bandwidth."""


AnyLoss = Annotated[
    CrossEntropySettings
    | CkdSettings
    | CtkdSettings
    | RkdSettings
    | KdppSettings
    | FitnetSettings
    | AtSettings
    | MfdSettings,
    Field(discriminator="name"),
]
LOSS = Choice.of(AnyLoss, "loss", "losses")
