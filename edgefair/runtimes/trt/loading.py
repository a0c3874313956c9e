"""From a file in a manifest to an engine: what it is and what it was built for is checked before it is opened."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgefair.errors import ArtefactError
from edgefair.runtimes import manifest
from edgefair.runtimes.cuda_driver import why_no_gpu
from edgefair.runtimes.gpu import device
from edgefair.runtimes.trt import rtx
from edgefair.runtimes.trt.api import Flavour, hint, library, logger

REBUILD = "Build it again with edgefair on this device."


@dataclass
class Loaded:
    """An engine, the runtime that it lives in, and the manifest's facts of it."""

    trt: Any  # the library's module
    log: Any
    runtime: Any
    engine: Any
    facts: dict
    validity: str | None  # TensorRT-RTX: VALID or SUBOPTIMAL


def load(flavour: Flavour, path: Path) -> Loaded:
    """Open an engine: its hash stands in manifest.json, then driver, library, version and device fit, in this order.

    Opening an engine runs code of its own, and opening one without a driver ends the process: hence the order.
    Raises ArtefactError, or MissingExtra where the library is not installed.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read ({error.strerror}).") from error
    entry = manifest.listed(path)
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise ArtefactError(f"{path} changed while it was being read. {REBUILD}")
    if reason := why_no_gpu():
        raise ArtefactError(f"{path} needs a GPU to run: {reason}")
    trt = library(flavour)
    facts = entry.facts
    _compare(flavour, trt, path, facts)
    log = logger(trt)
    log.messages.clear()
    runtime = trt.Runtime(log)
    found = _valid(trt, runtime, content, path, facts) if flavour.portable else None
    engine = runtime.deserialize_cuda_engine(content)
    if engine is None:
        reason = log.last()
        raise ArtefactError(f"{flavour.title} {trt.__version__} cannot load {path}: {reason}. {hint(reason, REBUILD)}")
    return Loaded(trt, log, runtime, engine, facts, found)


def _compare(flavour: Flavour, trt: Any, path: Path, facts: dict) -> None:
    here, built = device() or {}, facts.get("gpu")
    built = built if isinstance(built, dict) else {}
    if (facts.get("library"), facts.get("version")) != (trt.__name__, trt.__version__):
        raise ArtefactError(
            f"{path} was built by {facts.get('library')} {facts.get('version')}; here is {trt.__name__} "
            f"{trt.__version__}, and engines belong to one version. {REBUILD}"
        )
    kinds = [(one.get("device"), one.get("compute_capability")) for one in (built, here)]
    if not flavour.portable and kinds[0] != kinds[1]:
        raise ArtefactError(
            f"{path} was built for {_named(*kinds[0])}; here is {_named(*kinds[1])}, and engines belong to one "
            f"device. {REBUILD}"
        )


def _named(name: str | None, capability: str | None) -> str:
    return f"{name} (compute capability {capability})"


def _valid(trt: Any, runtime: Any, content: bytes, path: Path, facts: dict) -> str:
    answer, reasons = rtx.validity(trt, runtime, content)
    if answer == "INVALID":
        gpu = device() or {}
        raise ArtefactError(
            f"TensorRT-RTX {trt.__version__} says that {path} cannot run on "
            f"{_named(gpu.get('device'), gpu.get('compute_capability'))}: {', '.join(reasons) or 'no reason given'}. "
            f"It was built for the compute capabilities {facts.get('compute_capabilities')}. {REBUILD}"
        )
    return answer
