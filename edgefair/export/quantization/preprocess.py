"""The graph as it is quantised: optimised by ONNX Runtime, every tensor typed, every node named; always the same."""

import contextlib
import functools
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edgefair.errors import ArtefactError, require
from edgefair.files import sha256

if TYPE_CHECKING:
    from onnx import ModelProto

PURPOSE = "quantisation"
FLOAT = 1  # onnx.TensorProto.FLOAT


def prepared(source: Path) -> "ModelProto":
    """The ModelProto of `source` as prepared, a copy that may be changed.

    Raises ArtefactError where ONNX Runtime cannot read the file.
    """
    model = require("onnx", "onnx", PURPOSE).ModelProto()
    model.ParseFromString(_prepared(Path(source), sha256(source)))
    return model


@functools.lru_cache(maxsize=4)
def _prepared(source: Path, _sha256: str) -> bytes:
    onnx = require("onnx", "onnx", PURPOSE)
    shapes = require("onnxruntime.quantization.shape_inference", "onnx", PURPOSE)
    with tempfile.TemporaryDirectory() as folder, quiet():
        target = Path(folder) / "prepared.onnx"
        try:
            shapes.quant_pre_process(str(source), str(target), skip_symbolic_shape=True)
            model = onnx.shape_inference.infer_shapes(onnx.load(target))
        except Exception as error:  # onnx, protobuf and ONNX Runtime share no class of errors
            raise ArtefactError(
                f"{source} cannot be prepared for quantisation ({type(error).__name__}: {error}). Export it again."
            ) from error
    _name_nodes(model.graph)
    _drop_unused(model)
    return model.SerializeToString(deterministic=True)


def _name_nodes(graph) -> None:
    """Give a name to nodes that have none, or another's: the optimiser leaves some without."""
    taken = set()
    for place, node in enumerate(graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.op_type}_{place}"
        taken.add(node.name)


def _drop_unused(model: "ModelProto") -> None:
    """Remove operator sets that the optimiser declares and nothing uses, and types of tensors that it took out."""
    domains = {node.domain for node in model.graph.node} | {""}
    made = {name for node in model.graph.node for name in node.output}
    opsets = [opset for opset in model.opset_import if opset.domain in domains]
    infos = [info for info in model.graph.value_info if info.name in made]
    del model.opset_import[:], model.graph.value_info[:]
    model.opset_import.extend(opsets)
    model.graph.value_info.extend(infos)


def float_tensors(model: "ModelProto") -> list[str]:
    """Names of the activations that are known to be float32, in the order of the graph, its outputs last."""
    infos = (*model.graph.value_info, *model.graph.output)
    return list(dict.fromkeys(info.name for info in infos if info.type.tensor_type.elem_type == FLOAT))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hide the quantiser's advice on the root logger (it asks for what was done already); put the level back."""
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)
    try:
        yield
    finally:
        logging.getLogger().setLevel(level)
