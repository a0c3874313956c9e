"""Which library of the two is used, its one logger, and which of its messages mean that numbers would change."""

import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from edgefair.errors import MissingExtra

# What the parser and the builder say, as warnings, where they compute something else than the file asks for.
NUMERIC = (
    "defaulting to int8",  # uint8 codes above 127 would be clipped
    "will use int8 instead",
    "was clamped",
    "clamping to",
    "outside of int8_t range",
    "weights are affected by this issue",  # subnormal or infinite after conversion
    "could affect accuracy",
    "non-int8 implementation",
)

LOWER = "Build with a smaller deploy.max_batch or deploy.workspace_mb, or end what else uses the GPU."


@dataclass(frozen=True)
class Flavour:
    """One of the two libraries; their Python modules have the same classes."""

    name: str
    title: str
    module: str
    extra: str
    origin: str
    portable: bool  # its engines run on more than the device that built them, and are built without one


TENSORRT = Flavour(
    "tensorrt",
    "TensorRT",
    "tensorrt",
    "tensorrt",
    "; its libraries come from the vendor's own index, on a Jetson from JetPack",
    False,
)
RTX = Flavour("tensorrt-rtx", "TensorRT-RTX", "tensorrt_rtx", "rtx", "", True)


def library(flavour: Flavour) -> ModuleType:
    """The imported Python module; raises MissingExtra where it, or a library that it needs, is not installed."""
    return _import(flavour.module, flavour, flavour.title)


def cuda_runtime(flavour: Flavour) -> ModuleType:
    """cuda-python's binding of the CUDA runtime; raises MissingExtra where there is none."""
    return _import("cuda.bindings.runtime", flavour, f"running a {flavour.title} engine")


def _import(module: str, flavour: Flavour, purpose: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except (ImportError, OSError, RuntimeError) as error:  # a shared library that is missing raises any of these
        raise MissingExtra(
            f"{purpose} needs the Python module '{module}', which cannot be imported ({error}). "
            f"Install it with: pip install 'edgefair[{flavour.extra}]'{flavour.origin}"
        ) from error


def why_missing(flavour: Flavour, *needed: Callable[[Flavour], ModuleType]) -> str:
    """Why one of the needed modules (functions of a flavour that import) is missing, "" where all are there."""
    try:
        for need in needed:
            need(flavour)
    except MissingExtra as error:
        return str(error)
    return ""


@functools.cache
def logger(trt: Any) -> Any:
    """The one logger of a library: it keeps the first that it is given for as long as any of its objects lives."""

    class Collector(trt.ILogger):
        def __init__(self) -> None:
            super().__init__()
            self.messages: list[tuple[str, str]] = []

        def log(self, severity: Any, text: str) -> None:
            if severity.name not in ("INFO", "VERBOSE"):
                self.messages.append((severity.name, text))

        def warnings(self) -> list[str]:
            return list(dict.fromkeys(text for severity, text in self.messages if severity == "WARNING"))

        def last(self) -> str:
            """The last errors in one line, for an error message of ours."""
            errors = [text for severity, text in self.messages if severity.endswith("ERROR") and not _noise(text)]
            return " | ".join(" ".join(text.split()) for text in dict.fromkeys(errors[-3:])) or "no reason was given"

    return Collector()


def hint(reason: str, otherwise: str = "Change what it names, or choose another target.") -> str:
    """What to do about an error of the library's."""
    full = "out of memory" in reason.lower() or "cudaerrormemoryallocation" in reason.lower()
    return LOWER if full else otherwise


def _noise(text: str) -> bool:
    """Said in passing on every machine without a GPU, whatever goes wrong there."""
    return "catchCudaError" in text or "Thread context has not been set" in text


def accuracy_warnings(warnings: list[str]) -> list[str]:
    """Those warnings that say that something else is computed than the file asks for."""
    return [text for text in warnings if any(sign in text.lower() for sign in NUMERIC)]
