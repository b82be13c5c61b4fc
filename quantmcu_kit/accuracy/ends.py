"""The maps of a network that training compares."""

from __future__ import annotations

from dataclasses import dataclass

from quantmcu_kit.accuracy.blocks import split
from quantmcu_kit.emit import class_count
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ops.table import TABLE


@dataclass(frozen=True)
class Ends:
    """Maps to compare.

    Attributes:
        outputs: of the network; before a SOFTMAX the logits.
        features: ends of blocks on the way.
        are_classes: the only output is a vector of logits.
    """

    outputs: tuple[str, ...]
    features: tuple[str, ...]
    are_classes: bool

    @property
    def all(self) -> frozenset[str]:
        """Every map that is compared."""
        return frozenset(self.outputs + self.features)


def ends_of(graph: Graph) -> Ends:
    """The ends of an integer network."""
    outputs = tuple(dict.fromkeys(_compared(graph, port.tensor) for port in graph.outputs))
    features = tuple(block.output for block in split(graph) if block.macs and block.output not in outputs)
    return Ends(outputs, features, bool(class_count(graph)) and graph.nodes[-1].op != "LOGISTIC")


def _compared(graph: Graph, output: str) -> str:
    """What an output shows: the logits behind a SOFTMAX, the source of a view."""
    node = graph.producer(output)
    while node is not None and (node.op == "SOFTMAX" or TABLE[node.op].is_view):
        source = graph.producer(node.inputs[0])
        if source is None:
            break
        output, node = node.inputs[0], source
    return output
