"""A runtime that computes nothing: what it takes is the harness's own time, and its verdict must be a failure."""

from pathlib import Path

import numpy as np

from edgefair.errors import ArtefactError
from edgefair.runtimes.base import Runtime


class Null(Runtime):
    """Returns zero logits; its artefact is a text file that holds the number of classes."""

    @classmethod
    def build_unavailable_reason(cls) -> str:
        return "the null runtime computes nothing; nothing is built of ONNX for it. Choose another runtime."

    def __init__(self, path: Path, threads: int = 0):
        try:
            self.num_classes = int(Path(path).read_text())
        except (OSError, ValueError) as error:
            raise ArtefactError(f"{path} holds no number of classes ({error}).") from error

    def _predict(self, images: np.ndarray) -> np.ndarray:
        return np.zeros((len(images), self.num_classes), np.float32)

    def _describe(self) -> dict:
        return {"runtime": "null", "version": "1", "provider": "none", "threads": 0}
