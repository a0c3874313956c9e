"""The operators that go back to float together: one with weights, and the element-wise ones that follow it.

A runtime fuses them into one kernel, so half a unit in float costs as much as a whole one and repairs less.
"""

from collections.abc import Iterable
from pathlib import Path

from edgefair.export.quantization import quantizable
from edgefair.export.quantization.graph import Graph
from edgefair.export.quantization.preprocess import prepared
from edgefair.recipe import QuantizeSettings


def units(source: Path, dialect: str, settings: QuantizeSettings) -> dict[str, tuple[str, ...]]:
    """Leader -> the quantizable nodes of its unit, in graph order; what the recipe leaves in float is in none."""
    owner = owners(source)
    members: dict[str, list[str]] = {}
    for name in quantizable(source, dialect, settings):
        members.setdefault(owner[name], []).append(name)
    return {name: tuple(nodes) for name, nodes in members.items()}


def owners(source: Path) -> dict[str, str]:
    """The leader of every node and of every tensor that a node makes, by name.

    A node without weights belongs to the unit of the latest leader that it depends on: a residual sum to the second of
    its convolutions, the product of a squeeze-excitation to its gate. What only scales pixels leads itself.
    """
    graph = Graph(prepared(source).graph)
    weighted = {node.name for node in graph.weighted()}
    place = {node.name: index for index, node in enumerate(graph.nodes)}
    owner: dict[str, str] = {}
    for node in graph.nodes:
        before = [owner[name] for name in node.input if name in owner]
        own = node.name if node.name in weighted or not before else max(before, key=place.__getitem__)
        owner |= dict.fromkeys([node.name, *node.output], own)
    return owner


def nodes_of(units: dict[str, tuple[str, ...]], chosen: Iterable[str]) -> list[str]:
    """The nodes of some units, in graph order."""
    return [node for name, nodes in units.items() if name in set(chosen) for node in nodes]
