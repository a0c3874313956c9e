"""ranges.*.json: what calibration found, kept beside what needs it."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, Field

from edgefair.files import RECORD


class RangesRecord(BaseModel):
    """The fields of `Ranges`; bounds are the lowest and highest value of each tensor."""

    WHAT: ClassVar[str] = "file of ranges"
    model_config = RECORD

    schema_version: Literal[1] = Field(1, alias="schema")
    source_sha256: str
    images_sha256: str
    rows: Annotated[int, Field(ge=1)]
    method: str
    percentile: float
    bounds: dict[str, Annotated[list[float], Field(min_length=2, max_length=2)]]
    fallback: dict[str, str]
