"""ONNX Runtime, on the CPU and on CUDA: the provider that was asked for is the one that runs, or it is an error."""

import contextlib
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from edgefair.errors import ArtefactError, MissingExtra, require
from edgefair.runtimes import manifest
from edgefair.runtimes.base import Runtime, check_images
from edgefair.runtimes.cuda_driver import why_no_gpu
from edgefair.runtimes.gpu import describe_gpu
from edgefair.runtimes.onnx_inspect import Port, cannot_load, cannot_run, census, check_signature

DTYPES = {"float": "float32", "double": "float64"}  # where ONNX Runtime's names are not NumPy's


class Ort(Runtime):
    """An ONNX file under ONNX Runtime on the CPU, every graph optimisation on."""

    PROVIDER = "CPUExecutionProvider"
    OPTIONS: ClassVar[dict[str, str]] = {}
    EXTRA = "onnx"

    @classmethod
    def run_unavailable_reason(cls) -> str:
        try:
            ort = require("onnxruntime", cls.EXTRA, "running an ONNX file")
        except MissingExtra as error:
            return str(error)
        if cls.PROVIDER in ort.get_available_providers():
            return ""
        return (
            f"this onnxruntime offers {', '.join(ort.get_available_providers())}, not {cls.PROVIDER}; "
            f"install it with: pip install 'edgefair[{cls.EXTRA}]'"
        )

    def __init__(self, path: Path, threads: int = 0):
        self.ort = require("onnxruntime", self.EXTRA, "running an ONNX file")
        if reason := self.run_unavailable_reason():
            raise ArtefactError(f"cannot run {path} on {self.PROVIDER}: {reason}")
        self.path, self.threads = Path(path), threads
        self.sha256 = manifest.unchanged(self.path)
        self.session = self._session(self._options())
        if self.session.get_providers()[0] != self.PROVIDER:
            raise ArtefactError(
                f"ONNX Runtime uses {self.session.get_providers()} where {self.PROVIDER} was asked for."
            )
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        self.size, self.num_classes = check_signature(path, _ports(inputs), _ports(outputs))
        self.input, self.output = inputs[0].name, outputs[0].name

    def _options(self) -> Any:
        options = self.ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.log_severity_level = 4  # errors come as exceptions
        if self.PROVIDER != "CPUExecutionProvider":
            # Without this, the CPU takes the place of a provider whose libraries do not load, and of one that has no
            # kernel for a node, without a warning.
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        return options

    def _session(self, options: Any) -> Any:
        try:
            providers = [(self.PROVIDER, self.OPTIONS)]
            session = self.ort.InferenceSession(str(self.path), options, providers=providers, enable_fallback=0)
            session.disable_fallback()  # nor while running
            return session
        except Exception as error:  # the library's exception classes share no public base
            if "fallback to CPU EP" in str(error):
                raise ArtefactError(
                    f"{self.PROVIDER} does not run all of {self.path}: its libraries do not load here, or it has no "
                    "kernel for an operator. The CPU does not take its place; use --runtime ort for that."
                ) from error
            raise cannot_load("ONNX Runtime", self.path, error) from error

    def _predict(self, images: np.ndarray) -> np.ndarray:
        check_images(images, self.size)
        try:
            return self.session.run([self.output], {self.input: images})[0]
        except Exception as error:
            raise cannot_run("ONNX Runtime", self.path, len(images), error) from error

    def _describe(self) -> dict:
        return {
            "runtime": "onnxruntime",
            "version": self.ort.__version__,
            "provider": self.PROVIDER,
            "threads": self.threads or "all",
            "graph_optimization": "all",
            "sha256": self.sha256,
            "formats": self.formats(),
        }

    def _close(self) -> None:
        self.session = None

    def formats(self) -> dict[str, float]:
        """Share of the Conv, Gemm and MatMul operators by format, in the graph that runs: after the optimisations."""
        with tempfile.TemporaryDirectory() as folder:
            options, optimised = self._options(), Path(folder) / "optimised.onnx"
            options.optimized_model_filepath = str(optimised)
            self._session(options)
            return census(optimised)


class OrtCuda(Ort):
    """The same on an NVIDIA GPU; INT8 files are simulated there.

    The CUDA provider has no quantised kernels: Q/DQ runs as quantise, dequantise, float convolution. The logits are
    those of INT8, the time is not: `describe()["latency_meaning"]` says what a measured time is of.
    """

    PROVIDER = "CUDAExecutionProvider"
    OPTIONS: ClassVar[dict[str, str]] = {"use_tf32": "0"}  # fp32 is what it says
    EXTRA = "onnx-gpu"
    simulates = False  # quantised operators in float

    @classmethod
    def run_unavailable_reason(cls) -> str:
        return super().run_unavailable_reason() or why_no_gpu()

    def _options(self) -> Any:
        options = super()._options()
        with contextlib.suppress(Exception):  # what cannot be read is an error when it is loaded
            self.simulates = "int8" in census(self.path)
        if self.simulates:  # the optimiser makes other numbers of this dialect's quantisers than the file says
            options.graph_optimization_level = self.ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        return options

    def _describe(self) -> dict:
        about = super()._describe() | ({"graph_optimization": "none"} if self.simulates else {})
        meaning = "int8 simulated in float: not the latency of int8" if "int8" in about["formats"] else "as run"
        return about | {"cpu_fallback": "disabled", "tf32": False, "latency_meaning": meaning} | describe_gpu()

    def formats(self) -> dict[str, float]:
        """Shares in the file itself: with the fallback disabled, every node of it runs on CUDA as it is written."""
        return census(self.path)


def _ports(values: Any) -> list[Port]:
    found = []
    for value in values:
        name = value.type.removeprefix("tensor(").removesuffix(")")
        shape = tuple(side if isinstance(side, int) else None for side in value.shape)
        found.append(Port(DTYPES.get(name, name), shape))
    return found
