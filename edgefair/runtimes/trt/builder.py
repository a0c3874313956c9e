"""Engines from one ONNX file: one for batches, one for single images, each with the facts of how it was made."""

import hashlib
import re
import time
from pathlib import Path
from typing import Any

from edgefair.errors import ArtefactError
from edgefair.files import write_bytes
from edgefair.recipe import DeploySettings
from edgefair.runtimes.base import Built
from edgefair.runtimes.gpu import device
from edgefair.runtimes.trt import rtx
from edgefair.runtimes.trt.api import Flavour, accuracy_warnings, hint, library, logger
from edgefair.runtimes.trt.inspector import check_precision, engine_summary, network_summary
from edgefair.runtimes.trt.parser import Parsed, parse

OPTIMAL_BATCH = 32


def build(flavour: Flavour, source: Path, folder: Path, name: str, settings: DeploySettings) -> list[Built]:
    """NAME.engine for batches of 1 to max_batch and NAME.b1.engine, whose shapes are fixed, for single images.

    A file whose own batch is fixed at 1 gives the second alone. Nothing is written where either cannot be built.
    Raises ArtefactError where the file is refused, or would be computed with other numbers than it asks for.
    """
    trt = library(flavour)
    log = logger(trt)
    log.messages.clear()
    builder = _builder(trt, log, flavour)
    parsed = parse(trt, builder, log, source)
    batch = parsed.network.get_input(0).shape[0]
    if batch not in (-1, 1):
        raise ArtefactError(f"{source} takes batches of {batch} only; export it with a dynamic batch, or with batch 1.")
    engines = [
        _engine(trt, log, flavour, builder, source, folder / f"{name}{suffix}.engine", fixed, settings)
        for fixed, suffix in ((0, ""), (1, ".b1"))
        if fixed or batch == -1
    ]
    for path, content, _, _ in engines:
        write_bytes(path, content)
    return [Built(path, fixed, facts) for path, _, fixed, facts in engines]


def _builder(trt: Any, log: Any, flavour: Flavour) -> Any:
    try:
        return trt.Builder(log)
    except TypeError as error:  # what the bindings make of a null pointer
        raise ArtefactError(f"{flavour.title} {trt.__version__} cannot start its builder: {log.last()}.") from error


def _engine(
    trt: Any, log: Any, flavour: Flavour, builder: Any, source: Path, path: Path, fixed: int, settings: DeploySettings
) -> tuple[Path, bytes, int, dict]:
    """Build one engine; fixed: its only batch size, or 0."""
    log.messages.clear()
    start = time.perf_counter()
    parsed = parse(trt, builder, log, source)
    _check_numbers(trt, log, source)
    summary = network_summary(parsed.network)
    check_precision(summary, path.name)
    config, facts = _configure(trt, flavour, builder, parsed.network, fixed, settings, set(summary["quantised"]))
    cache = None if flavour.portable else _timing_cache(config, path.parent, trt.__version__)
    content = _serialized(trt, flavour, builder, parsed, config, log, source)
    facts |= {
        "seconds": round(time.perf_counter() - start, 3),
        "bytes": len(content),
        "timing_cache": _store(config, *cache) if cache else None,
        "layers": _inspected(trt, flavour, log, content, path.name) or summary,
        "network_layers": summary,
        "warnings": log.warnings(),
    }
    return path, content, fixed, facts


def _configure(
    trt: Any, flavour: Flavour, builder: Any, network: Any, fixed: int, settings: DeploySettings, datatypes: set[str]
) -> tuple[Any, dict]:
    config = builder.create_builder_config()
    config.builder_optimization_level = settings.optimization_level
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, settings.workspace_mb << 20)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    (config.set_flag if settings.tf32 else config.clear_flag)(trt.BuilderFlag.TF32)
    known = trt.BuilderFlag.__members__
    facts = {
        "library": trt.__name__,
        "version": trt.__version__,
        "gpu": device(),
        "strongly_typed": True,
        "optimization_level": config.builder_optimization_level,
        "workspace_mb": settings.workspace_mb,
        "tf32": config.get_flag(trt.BuilderFlag.TF32),
        "profile": _shapes(builder, network, config, fixed, settings.max_batch),
        "compute_capabilities": rtx.set_compute_capabilities(trt, config, datatypes) if flavour.portable else None,
        "flags": sorted(flag for flag in known if config.get_flag(known[flag])),
    }
    return config, facts


def _shapes(builder: Any, network: Any, config: Any, fixed: int, largest: int) -> dict:
    """Fix the input's shape, which leaves nothing dynamic in the engine, or give the range of batches."""
    tensor = network.get_input(0)
    rest = tuple(tensor.shape)[1:]
    if fixed:
        tensor.shape = (fixed, *rest)
        return {"min": fixed, "opt": fixed, "max": fixed}
    sizes = {"min": 1, "opt": min(OPTIMAL_BATCH, largest), "max": largest}
    profile = builder.create_optimization_profile()
    profile.set_shape(tensor.name, *((size, *rest) for size in sizes.values()))
    config.add_optimization_profile(profile)
    return sizes


def _serialized(trt: Any, flavour: Flavour, builder: Any, parsed: Parsed, config: Any, log: Any, source: Path) -> bytes:
    blob = builder.build_serialized_network(parsed.network, config)
    if blob is None:
        reason = log.last()
        raise ArtefactError(
            f"{flavour.title} {trt.__version__} cannot build an engine of {source}: {reason}. {hint(reason)}"
        )
    _check_numbers(trt, log, source)
    return bytes(memoryview(blob))


def _check_numbers(trt: Any, log: Any, source: Path) -> None:
    if changed := accuracy_warnings(log.warnings()):
        raise ArtefactError(
            f"{trt.__name__} {trt.__version__} would compute something else than {source} asks for: "
            f"{' | '.join(changed)} Quantised files must be written for TensorRT: signed codes, zero point 0."
        )


def _timing_cache(config: Any, folder: Path, version: str) -> tuple[Path, str | None]:
    """Let the builder use what it measured before with this version on this device; returns file and hash."""
    gpu = device()
    assert gpu is not None  # this library starts no builder without one
    about = re.sub(r"[^A-Za-z0-9.]+", "_", f"{gpu['device']}_{gpu['compute_capability']}")
    path = folder / f"timing-{version}-{about}.cache"
    content = path.read_bytes() if path.exists() else b""
    cache = config.create_timing_cache(content)
    if cache is None or not config.set_timing_cache(cache, False):
        raise ArtefactError(f"{path} is no timing cache of TensorRT {version} on this device; delete it.")
    return path, hashlib.sha256(content).hexdigest() if content else None


def _store(config: Any, path: Path, before: str | None) -> dict:
    cache = config.get_timing_cache()
    content = bytes(memoryview(cache.serialize()))
    write_bytes(path, content)
    return {"file": path.name, "sha256_before": before, "sha256_after": hashlib.sha256(content).hexdigest()}


def _inspected(trt: Any, flavour: Flavour, log: Any, content: bytes, name: str) -> dict | None:
    """The engine's own account of its layers; None where it cannot be opened here: no GPU, or not for this one."""
    if device() is None:
        return None
    runtime = trt.Runtime(log)
    engine = runtime.deserialize_cuda_engine(content)
    if engine is None and not flavour.portable:
        raise ArtefactError(f"the engine that {flavour.title} has just built does not load: {log.last()}.")
    if engine is None:
        return None
    inspector = engine.create_engine_inspector()
    summary = engine_summary(inspector.get_engine_information(trt.LayerInformationFormat.JSON))
    check_precision(summary, name)
    return summary
