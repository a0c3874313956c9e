"""PyTorch itself, on the CPU: the reference that artefacts are compared with."""

from pathlib import Path

import numpy as np
import torch

from edgefair.models import create
from edgefair.models.factory import stored_classes
from edgefair.runtimes.base import Runtime, check_images


class Eager(Runtime):
    """A safetensors file of edgefair's, run by PyTorch in eval mode."""

    @classmethod
    def build_unavailable_reason(cls) -> str:
        return "PyTorch runs the weights themselves; nothing is built of ONNX for it. Choose another runtime."

    def __init__(self, path: Path, threads: int = 0):
        self.num_classes = stored_classes(path)
        self.model = create(f"file:{path}", self.num_classes, 0).eval()
        self.threads = threads

    @torch.no_grad()
    def _predict(self, images: np.ndarray) -> np.ndarray:
        check_images(images, None)
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads or before)
        try:
            return self.model(torch.from_numpy(images)).logits.numpy()
        finally:
            torch.set_num_threads(before)

    def _describe(self) -> dict:
        return {
            "runtime": "torch",
            "version": torch.__version__,
            "provider": "cpu",
            "threads": self.threads or torch.get_num_threads(),
        }

    def _close(self) -> None:
        del self.model
