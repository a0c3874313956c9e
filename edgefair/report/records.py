"""report.json: what the main job found, and what `summarize` reads of it again."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, Field, model_validator

from edgefair.files import RECORD
from edgefair.runtimes.records import Count

OPEN = RECORD | {"extra": "allow"}
Rate = Annotated[float, Field(ge=0, le=2)] | None
"""A share, or a difference of shares; None where it is undefined."""


class Score(BaseModel):
    """A score with its interval."""

    model_config = OPEN

    value: Rate


class Disparity(BaseModel):
    """A gap between groups beside what chance alone makes of it."""

    model_config = OPEN

    value: Rate
    floor: Rate


class Scores(BaseModel):
    """The scores that are summarised; there are others."""

    model_config = OPEN

    accuracy: Score
    macro_f1: Score
    auroc: Score
    weighted_recall: Score | None = None
    weighted_precision: Score | None = None
    weighted_f1: Score | None = None


class Disparities(BaseModel):
    """The disparities that are summarised; there are others."""

    model_config = OPEN

    mean_abs_disparity: Disparity
    deo_max: Disparity


class ClassRow(BaseModel):
    """What chance alone makes of the gap of one class: the 95 % quantile."""

    model_config = OPEN

    floor_q95: Rate


class Metrics(BaseModel):
    """Metrics of one artefact; confusion is [group][true class][predicted class]."""

    model_config = OPEN

    scores: Scores
    disparities: Disparities
    confusion: list[list[list[Count]]]
    classes: list[ClassRow] = []


class ReportEntry(BaseModel):
    """Metrics and facts of one artefact; runtimes and builders add their own facts."""

    model_config = OPEN

    artefact: str
    runtime: str
    metrics: Metrics


class ReportData(BaseModel):
    """What the report says of the data."""

    model_config = OPEN

    class_names: Annotated[list[str], Field(min_length=1)]
    group_names: Annotated[list[str], Field(min_length=1)]


class Network(BaseModel):
    """Which network a recipe names."""

    model_config = OPEN

    spec: str


class Loss(BaseModel):
    """Which loss a recipe names."""

    model_config = OPEN

    name: str


class Strategy(BaseModel):
    """Which strategy a recipe names, and how strong it is."""

    model_config = OPEN

    name: str
    lam: Annotated[float, Field(ge=0)]


class DataChoice(BaseModel):
    """Which data set a recipe names."""

    model_config = OPEN

    name: str


class ReportRecipe(BaseModel):
    """The recipe of a run, as its version of edgefair wrote it: settings that this one does not know stay readable."""

    model_config = OPEN

    seed: Annotated[int, Field(ge=0, lt=2**31)]
    teacher: Network
    student: Network
    loss: Loss
    strategy: Strategy
    data: DataChoice


class Report(BaseModel):
    """A whole report.json."""

    WHAT: ClassVar[str] = "report of a finished run"
    model_config = RECORD

    schema_version: Literal[1] = Field(alias="schema")
    edgefair: str
    created: str
    outcome: Literal["pass", "fail", "inconclusive"]
    recipe: ReportRecipe
    recipe_sha256: str
    distillation: dict[str, Any] = Field(alias="lambda")
    machine: dict[str, Any]
    bench: dict[str, Any]
    data: ReportData
    export: dict[str, Any]
    stage_seconds: dict[str, float]
    history: dict[str, list[dict[str, Any]]]
    warnings: list[str]
    remaining: str
    evidence: dict[str, Any]
    artefacts: list[ReportEntry]
    unverified: list[dict[str, Any]]
    tuning: dict[str, Any] | None = None
    """tune.json of the search that chose the recipe, where one did."""

    @model_validator(mode="after")
    def _tables_fit(self) -> "Report":
        """Teacher and student are there, and every confusion table has the declared groups and classes."""
        names = {entry.artefact for entry in self.artefacts if entry.runtime != "null"}
        if not {"teacher", "student"} <= names:
            raise ValueError(f"artefacts are {', '.join(sorted(names)) or 'none'}; teacher and student are needed")
        groups, classes = len(self.data.group_names), len(self.data.class_names)
        for number, entry in enumerate(self.artefacts):
            sizes = {(len(table), *map(len, table)) for table in entry.metrics.confusion}
            if len(entry.metrics.confusion) != groups or sizes != {(classes, *[classes] * classes)}:
                raise ValueError(
                    f"artefacts[{number}].metrics.confusion is no table of {groups} groups and {classes} classes; such "
                    "a table is needed"
                )
        return self
