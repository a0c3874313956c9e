"""The records of a run folder: what each stage left, and what judges and summaries read of it again."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, Field

from edgefair.files import RECORD
from edgefair.runtimes.records import FileName, Sha256


class Stage(BaseModel):
    """STAGE/stage.json: what a stage was made from, whether it is finished, and the SHA-256 of its files."""

    WHAT: ClassVar[str] = "record of a stage"
    model_config = RECORD

    schema_version: Literal[1] = Field(1, alias="schema")
    edgefair: str = ""
    """The version that made it; "" in records from before it was written down."""
    key: str = ""
    """Hash of stage, version and made_from: the stage is made again where another is asked for."""
    finished: bool = False
    made_from: dict[str, Any] = {}
    files: dict[FileName, Sha256] = {}
    seconds: Annotated[float, Field(ge=0)] = 0.0
