"""Any choice of quantised nodes in ONNX Runtime's dialect, put together from the file in which all are quantised.

ONNX Runtime's quantiser looks at every weight again each time, seconds for a network of many channels. Scales and
eight-bit weights do not depend on what else is quantised, so a search takes them from one file. What ships is written
by the quantiser itself.
"""

import copy

from edgefair.export.quantization.graph import DEQUANTIZE, QUANTIZE, Graph
from edgefair.export.quantization.qdq_ort import FOLLOWING
from edgefair.export.quantization.weight_guard import guard

RENAMED = "_QuantizeLinear_Input"  # what the quantiser calls a graph output before its Q/DQ pair

EIGHT = "_in_eight_bits"  # of a constant; the quantiser gives some the name that they have in float


class Replay:
    """Makes models that compute what `u8s8.write` would write for the same nodes.

    plain: the prepared model in float. whole: the same with every node that may be chosen quantised.
    """

    def __init__(self, plain, whole):
        self.plain, self.whole = plain, Graph(whole.graph)
        self.outputs = {output.name for output in plain.graph.output}
        self.tensors = {tensor.name: tensor for tensor in whole.graph.initializer}
        self.by_name = {node.name: node for node in self.whole.nodes}
        quantising = [node for node in self.whole.nodes if node.op_type == QUANTIZE]
        self.pairs = {
            node.input[0].removesuffix(RENAMED): (node, self.whole.consumers[node.output[0]][0]) for node in quantising
        }

    def model(self, names: set[str]):
        """The model with the nodes `names` quantised; the others read and write what these leave in eight bits."""
        made = copy.deepcopy(self.plain)
        marked = self._marked(made.graph, names)
        nodes, read, placed = [], {}, set()
        for node in made.graph.node:
            if node.name in names:
                nodes += self._weights(node, placed)
            node.input[:] = [read.get(name, name) for name in node.input]
            nodes.append(node)
            for name in [name for name in node.output if name in marked]:
                nodes += self._pair(name, node, read)
        del made.graph.node[:]
        made.graph.node.extend(nodes)
        del made.graph.value_info[:]
        own = {tensor.name for tensor in made.graph.initializer}
        lacking = {name for node in nodes for name in node.input if name in self.tensors} - own
        made.graph.initializer.extend(self.tensors[name] for name in sorted(lacking))
        return guard(made)

    def _marked(self, graph, names: set[str]) -> set[str]:
        """The tensors that get a pair, found in graph order as the quantiser does."""
        marked: set[str] = set()
        for node in graph.node:
            if node.name in names:
                marked |= {*node.input, *node.output}
            elif node.op_type in FOLLOWING and node.input[0] in marked:
                marked |= set(node.output)
        return marked & set(self.pairs)

    def _weights(self, node, placed: set[str]) -> list:
        """Let a node read its constants in eight bits, as it does in the whole file; returns the nodes that are new."""
        new = []
        for place, name in enumerate(self.by_name[node.name].input):
            source = self.whole.producer.get(name)
            if source is None or source.op_type != DEQUANTIZE or source.input[0] not in self.whole.constants:
                continue
            node.input[place] = name + EIGHT
            if source.name not in placed:
                placed.add(source.name)
                new.append(copy.deepcopy(source))
                new[-1].output[0] = name + EIGHT
        return new

    def _pair(self, name: str, producer, read: dict[str, str]) -> list:
        """A tensor's Q and DQ; whoever comes later reads what they leave of it."""
        first, second = (copy.deepcopy(node) for node in self.pairs[name])
        if name in self.outputs:
            producer.output[:] = [name + RENAMED if output == name else output for output in producer.output]
            second.output[0] = name
            first.input[0] = name + RENAMED
        else:
            first.input[0] = name
            read[name] = second.output[0]
        return [first, second]
