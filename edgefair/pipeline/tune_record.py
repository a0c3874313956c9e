"""OUT/tune/tune.json: what a search tried, what each trial showed on validation rows, what was chosen and why."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, Field

from edgefair.errors import RunFolderError
from edgefair.files import RECORD, read_values
from edgefair.runtimes.records import Count, FileName, Sha256

FOLDER, RECORD_FILE = "tune", "tune.json"
Rate = Annotated[float, Field(ge=-2, le=2)] | None
"""A share, or a difference of shares; None where it is undefined."""


class Failed(BaseModel):
    """trials/NAME/failed.json: why a trial could not be trained."""

    WHAT: ClassVar[str] = "record of a failed trial"
    model_config = RECORD

    schema_version: Literal[1] = Field(1, alias="schema")
    why: str


class ObjectiveRecord(BaseModel):
    """What was best."""

    model_config = RECORD

    kind: Literal["gap", "tradeoff"]
    max_accuracy_loss: Annotated[float, Field(ge=0, le=1)]
    lam: Annotated[float, Field(ge=0)]
    sentence: str


class Figures(BaseModel):
    """One student on the validation rows, shares of one."""

    model_config = RECORD

    folder: FileName
    epochs: Annotated[int, Field(ge=0)]
    accuracy: Rate
    disparity: Rate
    floor: Rate
    spread: Rate
    """Spread between groups of how right the rows are, its noise subtracted: what recipes are compared by."""


class TrialRecord(BaseModel):
    """One point of the space."""

    model_config = RECORD

    what: str
    settings: dict[str, Any]
    """The settings that differ from the plain twin's, by their dotted names."""
    short: Figures | None
    full: Figures | None
    outcome: Literal["chosen", "baseline", "dropped"]
    why: str


class HonestRecord(BaseModel):
    """What the choice is worth beside the plain twin on rows that it did not see, shares of one."""

    model_config = RECORD

    disparity: Rate
    disparity_high: Rate
    """What 90 % of the halves stay below."""
    accuracy: Rate
    smaller: Rate
    """Share of the halves in which the spread between groups is smaller than the plain twin's."""
    halves: Count


class TuneRecord(BaseModel):
    """A whole tune.json."""

    WHAT: ClassVar[str] = "record of a search"
    model_config = RECORD

    schema_version: Literal[1] = Field(alias="schema")
    edgefair: str
    objective: ObjectiveRecord
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    validation_rows: Count
    budget: Annotated[float, Field(gt=0)]
    notes: list[str]
    trials: Annotated[list[TrialRecord], Field(min_length=1)]
    honest: HonestRecord
    helped: bool
    sentence: str
    chosen: Annotated[int, Field(ge=0)]
    """Index into trials."""
    recipe_sha256: Sha256


def read_tuning(out: Path) -> dict[str, Any] | None:
    """The record of the search that a run folder came from, None where it came from none."""
    file = Path(out) / FOLDER / RECORD_FILE
    again = f"Remove {FOLDER}/{RECORD_FILE}, and run the same search again; what was tried is kept."
    return read_values(file, TuneRecord, again, RunFolderError) if file.exists() else None
