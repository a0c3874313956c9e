"""What ranking and choosing leave in a run folder: ranking.json and choice.json."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, Field, model_validator

from edgefair.files import RECORD

Count = Annotated[int, Field(ge=0, lt=2**53)]


class UnitErrors(BaseModel):
    """The fields of `Sensitivity`."""

    model_config = RECORD

    unit: str
    errors: list[float | None]
    mean: float


class Ranking(BaseModel):
    """The units of a network, what each one's quantisation does to every group, and what each costs in float."""

    WHAT: ClassVar[str] = "ranking of operators"
    model_config = RECORD

    schema_version: Literal[1] = Field(1, alias="schema")
    target: str
    dialect: str
    ranking_rows: Count
    choosing_rows: Count
    group_names: list[str]
    before: UnitErrors
    units: dict[str, list[str]]
    sensitivities: list[UnitErrors]
    costs: dict[Literal["size", "latency"], dict[str, Annotated[float, Field(gt=0)]]]

    @model_validator(mode="after")
    def _units_fit(self) -> "Ranking":
        """Every error is one of a group, and every unit has its errors and its costs."""
        groups = {len(one.errors) for one in (self.before, *self.sensitivities)}
        if groups != {len(self.group_names)}:
            raise ValueError(f"errors of {sorted(groups)} groups are there; {len(self.group_names)} are needed")
        units = set(self.units)
        if "size" not in self.costs or any(units != set(costs) for costs in self.costs.values()):
            raise ValueError("costs does not name the units; a size of each unit is needed")
        if units != {one.unit for one in self.sensitivities}:
            raise ValueError("sensitivities does not name the units; one for each unit is needed")
        return self


class OverTolerance(BaseModel):
    """The fields of a `Check` that is not met."""

    model_config = RECORD | {"extra": "allow"}

    name: str
    value: float | None


class ChoiceRecord(BaseModel):
    """The fields of `Choice`, the nodes of its units, the order of all units, and what does not hold without it."""

    WHAT: ClassVar[str] = "choice of operators"
    model_config = RECORD

    schema_version: Literal[1] = Field(1, alias="schema")
    kept: list[str]
    holds: bool
    tried: Count
    returned: list[str]
    nodes: list[str]
    order: list[str]
    over_without: list[OverTolerance]
