"""What a graph is made of, seen through Q/DQ pairs: weighted nodes, squeeze-excitation, SiLU, residuals, the head.

Works on the proto alone and never changes it, so the quantiser and the linter see the same structure.
"""

from collections.abc import Iterator

WEIGHTED = ("Conv", "Gemm", "MatMul")
POOLS = ("ReduceMean", "GlobalAveragePool")
QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
SE_NODES = 24  # a squeeze-excitation gate has about six nodes; a longer way back is something else


class Graph:
    """Producers, consumers and constants of an ONNX graph by tensor name; `place` is where a tensor is made."""

    def __init__(self, graph):
        self.nodes = list(graph.node)
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.constants |= {
            node.output[0]: node.attribute[0].t
            for node in self.nodes
            if node.op_type == "Constant" and node.attribute and node.attribute[0].HasField("t")
        }
        self.producer = {name: node for node in self.nodes for name in node.output}
        self.place = {name: place for place, node in enumerate(self.nodes) for name in node.output}
        self.consumers: dict[str, list] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.input):
                self.consumers.setdefault(name, []).append(node)

    def origin(self, tensor: str) -> str:
        """The tensor that this one is a quantised or dequantised form of; itself where it is none."""
        seen = set()
        while (node := self.producer.get(tensor)) is not None and node.op_type in (QUANTIZE, DEQUANTIZE):
            if tensor in seen or not node.input:  # a damaged file may hold a ring
                break
            seen.add(tensor)
            tensor = node.input[0]
        return tensor

    def is_constant(self, tensor: str) -> bool:
        """Whether a tensor is a weight, quantised or not."""
        return self.origin(tensor) in self.constants

    def weighted(self) -> list:
        """Convolutions and matrix products with a constant weight, in graph order."""
        return [n for n in self.nodes if n.op_type in WEIGHTED and len(n.input) > 1 and self.is_constant(n.input[1])]

    def head(self) -> list:
        """The last weighted node: what makes logits of features."""
        return self.weighted()[-1:]

    def before_weights(self) -> list:
        """The nodes before the first weighted one: they scale pixels."""
        first = next(iter(self.weighted()), None)
        return self.nodes[: self.nodes.index(first)] if first is not None else self.nodes

    def has_silu(self) -> bool:
        """Whether some tensor is multiplied by its own sigmoid: x * sigmoid(x), whose range is [-0.28, inf)."""
        return any(self._is_silu(node) for node in self.nodes if node.op_type == "Mul")

    def squeeze_excitation(self) -> list[list]:
        """The nodes of each gate: pool(x) -> Conv -> ... -> Sigmoid, where its Mul has x as the other operand."""
        gates = []
        for node in (n for n in self.nodes if n.op_type == "Mul" and len(n.input) == 2):
            for gate, start in (node.input, reversed(node.input)):
                if nodes := self._gate(self.origin(start), gate):
                    gates.append(nodes)
        return gates

    def residuals(self) -> Iterator[tuple]:
        """(Add, index of the residual operand, the weighted node that it can be fused with), in graph order.

        A runtime adds the residual inside the convolution that made the other operand, if nothing else reads that; of
        two made by convolutions, the residual is the one that was there first.
        """
        for node in (n for n in self.nodes if n.op_type == "Add" and len(n.input) == 2):
            made = [self.producer.get(self.origin(name)) for name in node.input]
            if any(producer is None for producer in made) or node.input[0] == node.input[1]:
                continue
            main = max((0, 1), key=lambda index: self.place[made[index].output[0]])
            if made[main].op_type in WEIGHTED and len(self.consumers[made[main].output[0]]) == 1:
                yield node, 1 - main, made[main]

    def _is_silu(self, node) -> bool:
        operands = [self.origin(name) for name in node.input]
        for operand in operands:
            made = self.producer.get(operand)
            if made is not None and made.op_type == "Sigmoid" and self.origin(made.input[0]) in operands:
                return True
        return False

    def _gate(self, start: str, end: str) -> list:
        """Nodes between two tensors, if every way from `end` back leads to `start` by a pool and one has weights."""
        found, waiting = {}, [end]
        while waiting:
            tensor = self.origin(waiting.pop())
            if not tensor or tensor == start or tensor in self.constants:
                continue
            node = self.producer.get(tensor)
            if node is None or len(found) == SE_NODES:
                return []
            if id(node) not in found:
                found[id(node)] = node
                waiting += node.input
        nodes = sorted(found.values(), key=lambda node: self.place[node.output[0]])
        entering = [node for node in nodes if start in {self.origin(name) for name in node.input}]
        pooled = bool(entering) and all(node.op_type in POOLS for node in entering)
        return nodes if pooled and any(node.op_type in WEIGHTED for node in nodes) else []
