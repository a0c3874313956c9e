"""The latency file: what was timed where, by the SHA-256 of each file, as `bench`, the main job and devices write it.

A batch size is a text, for JSON has no other keys.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, Field

from edgefair.files import RECORD
from edgefair.runtimes.records import Count, Sha256

Batch = Annotated[str, Field(pattern="^[1-9][0-9]{0,8}$")]
Milliseconds = Annotated[float, Field(ge=0)]


class Ratio(BaseModel):
    """Time of the other over time of this one, with its interval, and what may be said of it."""

    model_config = RECORD

    ratio: float | None
    interval: Annotated[list[float | None], Field(min_length=2, max_length=2)]
    word: str


class Speedups(BaseModel):
    """How much faster than `to` by each statistic."""

    model_config = RECORD

    to: str
    p50: Ratio
    p90: Ratio
    mean: Ratio


class Timing(BaseModel):
    """Calls of one artefact at one batch size."""

    model_config = RECORD

    p50_ms: Milliseconds
    p90_ms: Milliseconds
    p99_ms: Milliseconds
    mean_ms: Milliseconds
    calls: Count
    p90_upper_ms: Milliseconds | None = None
    """99 % upper estimate; None where the calls were too few for one."""
    images_per_s: float | None
    joules_per_image: float | None
    speedup: Speedups | None = None


class Control(BaseModel):
    """One artefact beside itself, loaded twice: how still the machine was."""

    model_config = RECORD

    of: str
    ratio: float | None
    interval: Annotated[list[float | None], Field(min_length=2, max_length=2)]
    quiet: bool | None


class TimedFile(BaseModel):
    """What was timed, and on what; the runtime and the probe of load time and memory say more of it."""

    model_config = RECORD | {"extra": "allow"}

    sha256: Sha256
    bytes: Count
    precision: str
    batch: Annotated[int, Field(ge=0, lt=2**31)]
    runtime: str
    load_ms: Milliseconds | None = None


class LatencyRecord(BaseModel):
    """A whole latency file; checks and outcome are those of `bench` with a limit."""

    WHAT: ClassVar[str] = "latency file"
    model_config = RECORD

    schema_version: Literal[1] = Field(alias="schema")
    kind: Literal["edgefair-latency"]
    measured: str
    machine: dict[str, Any]
    threads: Count
    scenario: str
    rules: dict[str, Any]
    preprocessing: dict[str, Any]
    clocks: dict[str, Any]
    energy: str
    files: dict[str, TimedFile]
    artefacts: dict[str, dict[Batch, Timing]]
    control: dict[Batch, Control]
    rounds: dict[Batch, Any]
    checks: list[dict[str, Any]] = []
    outcome: str | None = None

    def of_file(self, sha256: str | None) -> str:
        """The name under which the file of that hash was timed; "" where it was not."""
        return next((name for name, file in self.files.items() if sha256 and file.sha256 == sha256), "")

    def rows(self, name: str) -> dict[str, dict]:
        """{batch size: its timing as JSON values} of an artefact; empty where it was not timed."""
        return {batch: one.model_dump(exclude_unset=True) for batch, one in self.artefacts.get(name, {}).items()}

    def controls(self) -> dict[str, dict]:
        """{batch size: its control as JSON values}."""
        return {batch: one.model_dump() for batch, one in self.control.items()}
