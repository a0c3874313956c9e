"""fairness-baseline.json: the committed facts of exported engines."""

from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_type_hints

from pydantic import BaseModel, Field, create_model, model_validator

from edgefair.files import RECORD
from edgefair.gate import Tolerance

Count = Annotated[int, Field(ge=0, lt=2**53)]
Names = Annotated[list[str], Field(min_length=1)]

if TYPE_CHECKING:
    Allowed = BaseModel  # no type checker follows `create_model` to these fields
else:
    Allowed = create_model(
        "Allowed",
        __config__=RECORD,
        **{one.name: (get_type_hints(Tolerance)[one.name], one.default) for one in fields(Tolerance)},
    )
"""The fields of `Tolerance`; one that the file lacks is at its default."""


class EngineFacts(BaseModel):
    """What an engine did on its rows, how much worse it may become, and what it was."""

    model_config = RECORD

    allowed: Allowed
    rows: Count
    rows_sha256: str
    class_names: Names
    group_names: Names
    cells_right_of: dict[str, dict[str, str]] = {}
    missing_cells: list[str] = []
    predicted: dict[str, Count]
    accuracy_percent: float | None
    group_accuracy_percent: dict[str, float | None]
    mean_disparity_points: float | None
    max_disparity_points: float | None
    macro_recall_percent: float | None = None
    made_by: dict[str, Any] = {}

    @model_validator(mode="after")
    def _names_fit(self) -> "EngineFacts":
        for field, names in (("group_accuracy_percent", self.group_names), ("predicted", self.class_names)):
            if set(getattr(self, field)) != set(names):
                raise ValueError(f"{field} has {sorted(getattr(self, field))}; {sorted(names)} are needed")
        return self


class BaselineFile(BaseModel):
    """The whole file, an entry for each engine."""

    WHAT: ClassVar[str] = "fairness baseline"
    model_config = RECORD

    schema_version: Literal[1] = Field(alias="schema")
    engines: dict[str, EngineFacts]
