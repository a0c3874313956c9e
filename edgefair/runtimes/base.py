"""What every runtime gives: the protocol, built files, and checks of images."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from edgefair.errors import ArtefactError
from edgefair.recipe import DeployRecipe


@dataclass(frozen=True)
class Built:
    """One file that a runtime executes; batch is the only batch size it takes, 0 where any.

    facts: what the builder said of it, as JSON values: versions, settings, share of layers by datatype, warnings.
    """

    path: Path
    batch: int = 0
    facts: dict = field(default_factory=dict)


class Runtime(Protocol):
    """Executes one artefact. Loaded with (path, threads); threads 0 leaves the choice to the runtime."""

    num_classes: int

    @classmethod
    def why_not_build(cls) -> str:
        """Why files for this runtime cannot be built on this machine, with what to do; "" where they can."""
        ...

    @classmethod
    def why_not_run(cls) -> str:
        """Why this machine cannot execute such files, with what to do; "" where it can."""
        ...

    @classmethod
    def build(cls, source: Path, folder: Path, name: str, settings: DeployRecipe) -> list[Built]:
        """Make what is executed from an ONNX file of the right precision and dialect: files NAME.* in `folder`.

        A runtime that executes ONNX itself returns the source. Raises ArtefactError where the builder refuses.
        """
        ...

    def predict(self, images: np.ndarray) -> np.ndarray:
        """uint8 [B, 3, S, S] -> float32 logits [B, C]."""
        ...

    def describe(self) -> dict:
        """Name, versions and settings of what ran, as JSON values."""
        ...


class ExecutesOnnx:
    """What runtimes share that execute an ONNX file as it is: there is nothing to build."""

    @classmethod
    def why_not_build(cls) -> str:
        return ""

    @classmethod
    def build(cls, source: Path, folder: Path, name: str, settings: DeployRecipe) -> list[Built]:
        return [Built(source)]


def check_images(images: np.ndarray, size: int | None) -> None:
    """Raise ArtefactError unless images are uint8 [B, 3, S, S] of the artefact's size."""
    if (
        images.dtype != np.uint8
        or images.ndim != 4
        or images.shape[1] != 3
        or (size and images.shape[2:] != (size, size))
    ):
        side = size or "S"
        raise ArtefactError(
            f"images are {images.dtype} {images.shape}; this artefact takes uint8 (batch, 3, {side}, {side})."
        )
