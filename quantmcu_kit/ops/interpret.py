"""Run a graph in Python: float or exact integer, picture batches at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from quantmcu_kit.ir.graph import Graph, Node
from quantmcu_kit.ops.table import TABLE

Evaluate = Callable[..., np.ndarray]


def _float_evaluators(graph: Graph) -> dict[str, Evaluate]:
    return {
        node.name: lambda *xs, node=node: TABLE[node.op].float_ref(node.attrs, *xs) for node in graph.nodes
    }


def prepare_node(graph: Graph, node: Node) -> object:
    """The integer parameters of one node of a quantized graph."""
    return TABLE[node.op].prepare(node.attrs, graph.input_tensors(node), graph.tensors[node.output])


def _integer_evaluators(graph: Graph) -> dict[str, Evaluate]:
    evaluators = {}
    for node in graph.nodes:
        params = prepare_node(graph, node)
        evaluators[node.name] = lambda *xs, op=node.op, params=params: TABLE[op].int_ref(params, *xs)
    return evaluators


class Interpreter:
    """Evaluates a graph node by node; feature maps are dropped after their last reader.

    Args:
        graph: float, or integer when ``integer`` is set.
        keep_all: keep every feature map and return them all.
    """

    def __init__(self, graph: Graph, *, integer: bool, keep_all: bool = False) -> None:
        self._graph = graph
        self._keep_all = keep_all
        self._evaluators = _integer_evaluators(graph) if integer else _float_evaluators(graph)
        self._constants = {name: tensor.data for name, tensor in graph.tensors.items() if tensor.is_constant}
        last_reader = {name: node.name for node in graph.nodes for name in graph.activation_inputs(node)}
        self._dies_after: dict[str, list[str]] = {}
        for name, reader in last_reader.items():
            if not graph.is_output(name):
                self._dies_after.setdefault(reader, []).append(name)

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Feature maps by tensor name: the network's outputs, or all of them with ``keep_all``.

        Args:
            inputs: arrays [batch, ...] by the tensor names of ``graph.inputs``.
        """
        values: dict[str | None, np.ndarray | None] = {None: None, **self._constants, **inputs}
        for node in self._graph.nodes:
            values[node.output] = self._evaluators[node.name](*(values[name] for name in node.inputs))
            if not self._keep_all:
                for name in self._dies_after.get(node.name, []):
                    del values[name]
        if self._keep_all:
            return {tensor.name: values[tensor.name] for tensor in self._graph.feature_maps()}
        return {port.tensor: values[port.tensor] for port in self._graph.outputs}
