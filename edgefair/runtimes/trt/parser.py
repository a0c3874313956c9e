"""An ONNX file as a strongly typed network, or an error that names the node."""

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from edgefair.errors import ArtefactError

OF_NODES = (
    "A quantised file must be written for TensorRT (signed codes, zero point 0, no quantised bias); "
    "any other operation that it does not know has to leave the network."
)


@dataclass
class Parsed:
    """A network with the parser that owns its weights: the library crashes where either is freed too early."""

    network: Any  # INetworkDefinition
    parser: Any  # OnnxParser


def parse(trt: ModuleType, builder: Any, log: Any, source: Path) -> Parsed:
    """Parse `source`; raises ArtefactError with every error's node, operator, code and text."""
    parsed = _empty(trt, builder, log)
    network, parser = parsed.network, parsed.parser
    if not parser.parse_from_file(str(source)) or parser.num_errors:
        faults = [parser.get_error(index) for index in range(parser.num_errors)]
        raise ArtefactError(
            f"{trt.__name__} {trt.__version__} refuses {source}: {'; '.join(map(_fault_text, faults)) or log.last()}. "
            + (OF_NODES if any(fault.node_name() for fault in faults) else "Is the file whole? Export it again.")
        )
    _check_ends(trt, network, source)
    return parsed


def _empty(trt: Any, builder: Any, log: Any) -> Parsed:
    # TensorRT 11 and RTX know no other networks; 10 has to be told, or it would choose datatypes itself.
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    return Parsed(network, trt.OnnxParser(network, log))


def _fault_text(fault: Any) -> str:
    lines = [line for line in fault.desc().splitlines() if "catchCudaError" not in line]
    where = f"node '{fault.node_name()}' ({fault.node_operator()})" if fault.node_name() else "the file"
    return f"{where}: {fault.code().name}: {' '.join(' '.join(lines).split())}"


def _check_ends(trt: Any, network: Any, source: Path) -> None:
    """The runtime feeds one uint8 image tensor and reads one float logit tensor."""
    if network.num_inputs == network.num_outputs == 1:
        tensor, result = network.get_input(0), network.get_output(0)
        images = tensor.dtype == trt.DataType.UINT8 and len(tensor.shape) == 4 and tensor.shape[1] == 3
        if images and len(result.shape) == 2 and result.dtype in (trt.DataType.FLOAT, trt.DataType.HALF):
            return
    ends = [
        f"{tensor.name} {tensor.dtype.name} {tuple(tensor.shape)}"
        for count, get in ((network.num_inputs, network.get_input), (network.num_outputs, network.get_output))
        for tensor in map(get, range(count))
    ]
    raise ArtefactError(
        f"{source} has the inputs and outputs {'; '.join(ends) or 'none'}; uint8 images (batch, 3, S, S) in and "
        "float logits (batch, classes) out are needed. Export it with edgefair."
    )
