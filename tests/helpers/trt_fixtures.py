"""What the tests of the TensorRT runtimes share: a machine with a fake GPU and a fake library of a chosen version."""

import ctypes
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pynvml

from edgefair.recipe import DeploySettings
from edgefair.runtimes import Built, manifest, runtime_class
from edgefair.runtimes.cuda_driver import why_no_gpu
from edgefair.runtimes.gpu import device
from tests.helpers.fake_cuda import FakeDriver, FakeGpu, FakeNvml, cdll
from tests.helpers.fake_trt import VERSIONS, fake_trt, write_source

IMAGES = np.random.default_rng(0).integers(0, 256, (11, 3, 4, 4), dtype=np.uint8)


def expected(images: np.ndarray, classes: int = 5) -> np.ndarray:
    """What the fake engines compute."""
    return (images.sum((1, 2, 3), dtype=np.int64)[:, None] * np.arange(1, classes + 1)).astype(float)


def forget_device() -> None:
    why_no_gpu.cache_clear()
    device.cache_clear()


@dataclass
class Machine:
    """Installs what is fake; `libraries` are the shared libraries of the driver."""

    patch: object
    folder: Path
    version: str = VERSIONS[0]
    gpu: FakeGpu = field(default_factory=FakeGpu)
    libraries: dict = field(default_factory=lambda: {"libcuda.so.1": FakeDriver(), "libnvidia-ml.so.1": FakeNvml()})
    faults: dict = field(default_factory=dict)

    def start(self) -> "Machine":
        self.patch.setattr(ctypes, "CDLL", cdll(self.libraries))
        self.patch.setattr(pynvml, "CDLL", cdll(self.libraries))
        self.patch.setitem(sys.modules, "cuda.bindings.runtime", self.gpu)
        self.install(self.version)
        return self

    def install(self, version: str) -> None:
        """Replace the library; the other one is not installed."""
        self.trt = fake_trt(version, self.gpu, lambda: "libcuda.so.1" in self.libraries, **self.faults)
        for module in ("tensorrt", "tensorrt_rtx"):
            self.patch.setitem(sys.modules, module, self.trt if module == self.trt.__name__ else None)
        self._unload_nvml()
        forget_device()

    def _unload_nvml(self) -> None:
        """pynvml keeps the library that it has loaded, and its functions."""
        self.patch.setattr(pynvml, "nvmlLib", None)
        self.patch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})

    def plug(self, **libraries) -> None:
        """Another driver, or none: plug(driver=None)."""
        self.libraries.clear()
        if libraries.get("driver"):
            self.libraries["libcuda.so.1"] = libraries["driver"]
        self._unload_nvml()
        forget_device()

    @property
    def runtime(self) -> type:
        return runtime_class(self.trt.__name__.replace("_", "-"))

    def build(self, precision: str = "fp32", **model) -> list[Built]:
        source = write_source(self.folder / "student.onnx", **model)
        settings = DeploySettings(max_batch=4, workspace_mb=256)
        return self.runtime.build(source, self.folder, f"student.{precision}.{self.trt.__name__}", settings)

    def list(self, built: list[Built]) -> list[Path]:
        """Write them into the folder's manifest, as a run does."""
        name = self.trt.__name__.replace("_", "-")
        entries = [
            manifest.entry(f"{name}-{one.batch}", one.path, name, name, "fp32", batch=one.batch, facts=one.facts)
            for one in built
        ]
        manifest.write(self.folder, entries)
        return [one.path for one in built]
