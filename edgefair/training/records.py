"""history.json of a network that was trained."""

from typing import Annotated, ClassVar

from pydantic import BaseModel, Field, RootModel

from edgefair.files import RECORD


class Epoch(BaseModel):
    """One epoch: means over its steps, and validation after it; losses and strategies add what they log."""

    model_config = RECORD | {"extra": "allow"}
    __pydantic_extra__: dict[str, float | None]

    epoch: Annotated[int, Field(ge=1, lt=2**31)]
    validation_accuracy: float | None
    validation_balanced: float | None
    validation_worst: float | None = None
    validation_disparity: float | None
    warnings: list[str] = []
    """What the first epoch showed that a user should know before the others are waited for."""
    kept: bool
    """Whether the weights of this epoch were kept."""


class History(RootModel[list[Epoch]]):
    """All epochs, in order; none where the network was read from a file. The file is a list and has no schema."""

    WHAT: ClassVar[str] = "training history"
