"""What only TensorRT-RTX has: engines for several compute capabilities, and a test of whether one fits this device."""

from types import ModuleType
from typing import Any

from edgefair.errors import ArtefactError
from edgefair.runtimes.gpu import device

OLDEST = {"fp8": 89}  # compute capability times ten that a datatype needs; Turing (75) computes no fp32 products
EVERY = "every one that the library supports"


def set_compute_capabilities(trt: ModuleType, config: Any, datatypes: set[str]) -> list[str]:
    """Build for all capabilities from 8.0 on (8.9 with fp8) that the library can name; returns them as text.

    On a GPU whose capability it cannot name, none is set, which the library takes as all that it supports.
    """
    known = sorted(int(name[2:]) for name in trt.ComputeCapability.__members__ if name.startswith("SM"))
    oldest = max(OLDEST.get(kind, 80) for kind in datatypes | {""})
    chosen = [number for number in known if number >= oldest]
    gpu = device()
    if gpu and gpu["compute_capability"] not in map(_dotted, known):
        return [EVERY]
    config.num_compute_capabilities = len(chosen)
    for index, number in enumerate(chosen):
        if not config.set_compute_capability(getattr(trt.ComputeCapability, f"SM{number}"), index):
            raise ArtefactError(
                f"TensorRT-RTX {trt.__version__} does not build for compute capability {_dotted(number)}."
            )
    return [_dotted(number) for number in chosen]


def _dotted(number: int) -> str:
    return f"{number // 10}.{number % 10}"


def validity(trt: ModuleType, runtime: Any, content: bytes) -> tuple[str, list[str]]:
    """What the library thinks of running an engine here: VALID, SUBOPTIMAL or INVALID, and its reasons."""
    answer, bits = runtime.get_engine_validity(content)
    reasons = [name for name, reason in trt.EngineInvalidityDiagnostics.__members__.items() if int(reason) & bits]
    return answer.name, reasons
