"""The record of a sweep that its run folders do not hold."""

from typing import ClassVar, Literal

from pydantic import BaseModel, Field

from edgefair.files import RECORD


class Refused(BaseModel):
    """logs/NAME.refused.json: why a cell cannot be run as it is, and which version said so."""

    WHAT: ClassVar[str] = "record of a refused cell"
    model_config = RECORD

    schema_version: Literal[1] = Field(1, alias="schema")
    edgefair: str
    reason: str
