"""The records of a run folder: what each stage left, and what judges and summaries read of it again."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, Field

from edgefair.files import RECORD
from edgefair.runtimes.records import Count, FileName, Sha256


def _inside(text: str) -> str:
    parts = text.split("/")
    if {"", ".", ".."} & set(parts) or "\0" in text or max(len(part.encode()) for part in parts) > 200:
        raise ValueError("the path of a file inside the folder is needed")
    return text


InsidePath = Annotated[str, AfterValidator(_inside)]


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


class Strength(BaseModel):
    """student/lambda.json: the strength of the debiasing, and what it multiplies."""

    WHAT: ClassVar[str] = "record of lambda"
    model_config = RECORD

    schema_version: Literal[1] = Field(1, alias="schema")
    value: float
    meaning: str


class Exported(BaseModel):
    """How one ONNX file was exported, and how far its logits are from PyTorch's, by batch size."""

    WHAT: ClassVar[str] = "record of an export"
    model_config = RECORD

    opset: Count
    parity: dict[str, float | None]
    nodes: Count


class Calibration(BaseModel):
    """The rows that set the ranges of every INT8 and FP8 file."""

    model_config = RECORD

    method: str
    rows: Count
    ids_sha256: Sha256
    ids: list[str]
    short_cells: list[str]
    """Cells (group, class) with fewer rows than wanted."""


class Export(Exported):
    """artefacts/export.json: the float file, those quantised from it with their builder's facts, the rows used."""

    schema_version: Literal[1] = Field(1, alias="schema")
    quantised: dict[FileName, dict[str, Any]]
    fp16: Exported | None = None
    calibration: Calibration


class Kit(BaseModel):
    """kit.json: the run that a device kit was made of, and the SHA-256 of every file in it."""

    WHAT: ClassVar[str] = "device kit"
    model_config = RECORD

    schema_version: Literal[1] = Field(alias="schema")
    edgefair: str
    recipe_sha256: Sha256
    student: dict[FileName, Sha256]
    files: dict[InsidePath, Sha256]
