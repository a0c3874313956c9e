"""What every runtime gives: the base class, built files, and checks of images."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import numpy as np

from edgefair.errors import ArtefactError
from edgefair.recipe import DeploySettings


@dataclass(frozen=True)
class Built:
    """One file that a runtime executes; batch is the only batch size it takes, 0 where any.

    facts: what the builder recorded, as JSON values: versions, settings, share of layers by datatype, warnings.
    """

    path: Path
    batch: int = 0
    facts: dict = field(default_factory=dict)


class Runtime(ABC):
    """Executes one artefact: `with load_runtime(name, path) as runtime: logits = runtime.predict(images)`.

    num_classes: C. size: the only side S of images that it takes, None where the file does not say; batch: the only
    batch size, 0 where any. A subclass writes `__init__(path, threads)`, where threads 0 leaves the choice to it and a
    file that does not load is an ArtefactError, `_predict` and `_describe`; `_close` where it holds more than memory,
    the two reasons where it is not always there, and `build` where it does not execute ONNX files as they are.
    """

    num_classes: int
    size: int | None = None
    batch: int = 0
    closed: bool = False

    @abstractmethod
    def __init__(self, path: Path, threads: int = 0): ...

    @classmethod
    def load(cls, path: Path, threads: int = 0) -> "Runtime":
        """The runtime with its file open; raises ArtefactError for one that does not load."""
        return cls(Path(path), threads)

    @classmethod
    def build_unavailable_reason(cls) -> str:
        """Why files for this runtime cannot be built on this machine, with what to do; "" where they can."""
        return ""

    @classmethod
    def run_unavailable_reason(cls) -> str:
        """Why this machine cannot execute such files, with what to do; "" where it can."""
        return ""

    @classmethod
    def build(cls, source: Path, folder: Path, name: str, settings: DeploySettings) -> list[Built]:
        """Make what is executed from an ONNX file of the right precision and dialect: files NAME.* in `folder`.

        A runtime that executes ONNX itself returns the source. Raises ArtefactError where the builder refuses.
        """
        if reason := cls.build_unavailable_reason():
            raise ArtefactError(reason)
        return [Built(Path(source))]

    def predict(self, images: np.ndarray) -> np.ndarray:
        """uint8 [B, 3, S, S] -> float32 logits [B, C]; raises ArtefactError for other images, and once closed."""
        self._check_open()
        return self._predict(images)

    def describe(self) -> dict:
        """Name, versions and settings of what ran, as JSON values; raises ArtefactError once closed.

        At least "runtime", "version", "provider" and "threads".
        """
        self._check_open()
        return self._describe()

    def close(self) -> None:
        """Give back what the file holds; afterwards it predicts no more. Twice does no harm."""
        if not self.closed:
            self.closed = True
            self._close()

    def __enter__(self) -> "Runtime":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def _predict(self, images: np.ndarray) -> np.ndarray: ...

    @abstractmethod
    def _describe(self) -> dict: ...

    def _close(self) -> None:
        """What is held by more than this object's attributes is given back here, and what they hold is dropped."""
        return

    def _check_open(self) -> None:
        if self.closed:
            raise ArtefactError(f"this {type(self).__name__} runtime has been closed; load its file again.")


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
