"""manifest.json: what the files of a folder are, what made them, and their SHA-256.

{"schema": 1, "artefacts": [{"name", "file", "sha256", "bytes", "target", "runtime", "precision", "batch",
                             "blocked", "facts"}, ...]}
"""

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, Field

from edgefair.files import RECORD


def _hexadecimal(text: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise ValueError("a SHA-256 of 64 hexadecimal digits is needed")
    return text


def _beside(text: str) -> str:
    if text in ("", ".", "..") or "/" in text or "\0" in text or len(text.encode()) > 200:
        raise ValueError("the name of a file beside it is needed")
    return text


def _runtime(text: str) -> str:
    from edgefair.runtimes import runtime_names  # not with the module: runtimes import artefacts, which import this

    if text not in runtime_names():
        raise ValueError(f"one of {', '.join(runtime_names())} is needed")
    return text


Sha256 = Annotated[str, AfterValidator(_hexadecimal)]
FileName = Annotated[str, AfterValidator(_beside)]
Count = Annotated[int, Field(ge=0, lt=2**53)]


class ManifestEntry(BaseModel):
    """One file for one runtime."""

    model_config = RECORD

    name: FileName
    """What it is called in reports; its predictions lie in NAME.npz."""
    file: FileName
    sha256: Sha256
    bytes: Count
    target: str
    runtime: Annotated[str, AfterValidator(_runtime)]
    precision: str
    batch: Annotated[int, Field(ge=0, lt=2**31)]
    """The only batch size it takes, 0 where any."""
    blocked: str
    """Why it could not be run where it was built, "" where it could."""
    facts: dict[str, Any]
    """What its builder recorded; every builder has its own."""


class Manifest(BaseModel):
    """The files of a folder."""

    WHAT: ClassVar[str] = "manifest"
    model_config = RECORD

    schema_version: Literal[1] = Field(alias="schema")
    artefacts: list[ManifestEntry]
