"""What a unit costs in float instead of eight bits: bytes of the file, or milliseconds of a single image."""

import json
import re
import tempfile
from pathlib import Path

import numpy as np

from edgefair.errors import require
from edgefair.export.mixed_precision.simulate import Variants
from edgefair.export.mixed_precision.units import owners
from edgefair.export.quantization.graph import Graph
from edgefair.export.quantization.preprocess import PURPOSE, prepared

SAVED_BYTES = 3  # of each weight: one instead of four
LEAST = 0.002  # of the total: nothing is free, and a cost of zero would come first whatever it repairs
CALLS = 30
# What ONNX Runtime and the quantiser put behind the name of the node or tensor that a kernel stands for.
_MARKS = re.compile(r"(_nchwc|_token_\d+|(_dequantized|_quantized)?_(Quantize|Dequantize)Linear)+$")


def size_costs(variants: Variants, units: dict[str, tuple[str, ...]]) -> dict[str, float]:
    """Bytes that the file grows by when a unit's weights are stored in float."""
    graph = Graph(prepared(variants.source).graph)
    inputs = {node.name: node.input for node in graph.nodes}
    return _floored(
        {
            name: float(sum(SAVED_BYTES * _elements(graph, inputs[node]) for node in nodes))
            for name, nodes in units.items()
        }
    )


def latency_costs(variants: Variants, units: dict[str, tuple[str, ...]], image: np.ndarray) -> dict[str, float]:
    """Milliseconds that each unit takes longer in float, by ONNX Runtime's profiles of both forms on one thread.

    Kernels are fused, and one bears the name of a node or tensor that went into it; so times are added up by unit. A
    pair of quantise and dequantise counts for the unit whose tensor it holds.
    """
    every = {node for nodes in units.values() for node in nodes}
    owner = owners(variants.source)
    in_float, in_int8 = (_by_unit(profile(variants.model(form), image), owner) for form in (set(), every))
    return _floored({name: in_float.get(name, 0.0) - in_int8.get(name, 0.0) for name in units})


def profile(model: bytes, image: np.ndarray) -> dict[str, float]:
    """Median milliseconds of every kernel, by name, over single images on one thread."""
    ort = require("onnxruntime", "onnx", PURPOSE)
    with tempfile.TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        options.enable_profiling, options.profile_file_prefix = True, str(Path(folder) / "profile")
        session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        for _ in range(CALLS):
            session.run(None, {session.get_inputs()[0].name: image})
        events = json.loads(Path(session.end_profiling()).read_text())
    times: dict[str, list[float]] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            times.setdefault(event["name"].removesuffix("_kernel_time"), []).append(event["dur"] / 1e3)
    return {name: float(np.median(values)) for name, values in times.items()}


def _by_unit(times: dict[str, float], owner: dict[str, str]) -> dict[str, float]:
    """Sum of the kernels' times by leader; kernels that belong to nobody, such as casts, are left out."""
    total: dict[str, float] = {}
    for name, milliseconds in times.items():
        leader = owner.get(name) or owner.get(_MARKS.sub("", name))
        if leader:
            total[leader] = total.get(leader, 0.0) + milliseconds
    return total


def _elements(graph: Graph, names) -> int:
    """Elements of the weights among some inputs; a bias takes four bytes either way."""
    weights = [graph.constants[name].dims for name in names if name in graph.constants]
    return sum(int(np.prod(dims)) for dims in weights if len(dims) > 1)


def _floored(costs: dict[str, float]) -> dict[str, float]:
    least = LEAST * sum(max(0.0, value) for value in costs.values()) or 1.0
    return {name: max(value, least) for name, value in costs.items()}
