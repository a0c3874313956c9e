"""built/report.json of a quantised run: its variants on the gate rows, and which of them would ship."""

from typing import ClassVar, Literal

from pydantic import BaseModel, Field, model_validator

from edgefair.export.mixed_precision.records import ChoiceRecord
from edgefair.files import RECORD
from edgefair.latency.records import Timing
from edgefair.runtimes.records import Count, FileName, Sha256

Outcome = Literal["pass", "fail", "inconclusive"]


class Sentence(BaseModel):
    """A verdict or a check, of which the sentence is shown."""

    model_config = RECORD | {"extra": "allow"}

    sentence: str


class Variant(BaseModel):
    """One file: what it is, and what it does on the gate rows as shares of one."""

    model_config = RECORD

    artefact: str
    file: FileName
    sha256: Sha256
    precision: str
    target: str
    bytes: Count
    name: FileName
    kept: list[str] | None
    """Nodes that stay in float; None where nothing is quantised."""
    blocked: str
    latency: Timing | None
    accuracy: float | None
    worst_group: float | None
    disparity: float | None
    noise_floor: float | None
    flips: float | None
    flips_worst_group: float | None
    outcome: Outcome
    verdict: Sentence
    limits: list[Sentence]


class VariantsReport(BaseModel):
    """All variants, the choices that they come from, and the one that would ship."""

    WHAT: ClassVar[str] = "report of quantised variants"
    model_config = RECORD

    schema_version: Literal[1] = Field(1, alias="schema")
    variants: list[Variant]
    choices: dict[str, ChoiceRecord]
    best: str
    outcome: Outcome

    @model_validator(mode="after")
    def _best_is_there(self) -> "VariantsReport":
        names = [one.name for one in self.variants]
        if self.best not in names:
            raise ValueError(f"best is '{self.best}'; one of {', '.join(names)} is needed")
        return self
