"""Run a graph in Python: float or exact integer, a batch of pictures at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from quantmcu_kit.ir.graph import Graph, Node
from quantmcu_kit.ops.spec import KernelCall
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.ops.variants import VARIANTS

Evaluate = Callable[..., np.ndarray]
_INT32_BYTES = 4


def prepare_node(graph: Graph, node: Node) -> object:
    """The integer parameters of one node of a quantized graph."""
    return TABLE[node.op].prepare(node.attrs, graph.input_tensors(node), graph.tensors[node.output])


def kernel_calls(graph: Graph, node: Node) -> tuple[KernelCall, ...]:
    """The kernel calls of one node of a quantized graph: of its variant, or of its operator's portable kernel."""
    emit = VARIANTS[node.kernel].emit if node.kernel else TABLE[node.op].emit
    return emit(prepare_node(graph, node))


def scratch_bytes(graph: Graph, node: Node) -> int:
    """Bytes of scratch that the kernels of a node need while it runs."""
    return max((call.scratch_bytes or 0 for call in kernel_calls(graph, node)), default=0)


def is_alias(graph: Graph, node: Node) -> bool:
    """Whether the output of a node is the bytes of its input 0: a view between maps that are packed alike."""
    return TABLE[node.op].is_view and not kernel_calls(graph, node)


def sum_bytes(graph: Graph, node: Node) -> int:
    """Bytes of the int32 sums in which the output of ``node`` grows while pixels come; 0 where it cannot."""
    rule = TABLE[node.op].sums
    return _INT32_BYTES * rule(node.attrs, graph.input_tensors(node), graph.tensors[node.output]) if rule else 0


def _float_evaluator(node: Node) -> Evaluate:
    return partial(TABLE[node.op].float_ref, node.attrs)


def _integer_evaluator(graph: Graph, node: Node) -> Evaluate:
    return partial(TABLE[node.op].int_ref, prepare_node(graph, node))


def _last_readers(graph: Graph) -> dict[str, list[str]]:
    """By node name, the feature maps that nothing needs once the node has run."""
    readers = {name: node.name for node in graph.nodes for name in graph.activation_inputs(node)}
    dying: dict[str, list[str]] = {}
    for name, reader in readers.items():
        if not graph.is_output(name):
            dying.setdefault(reader, []).append(name)
    return dying


class Interpreter:
    """Evaluates a graph node by node; feature maps are dropped after their last reader.

    A batch may be any number of pictures: the leading axis of every feature map, 1 in the graph, is the batch.

    Args:
        graph: float, or integer when ``integer`` is set.
        keep_all: keep every feature map and return them all.
    """

    def __init__(self, graph: Graph, *, integer: bool, keep_all: bool = False) -> None:
        self._graph = graph
        self._keep_all = keep_all
        self._evaluators = [
            _integer_evaluator(graph, node) if integer else _float_evaluator(node) for node in graph.nodes
        ]
        self._constants = {name: tensor.data for name, tensor in graph.tensors.items() if tensor.is_constant}
        self._dying = {} if keep_all else _last_readers(graph)

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Feature maps by tensor name: the network's outputs, or all of them with ``keep_all``.

        Args:
            inputs: arrays [batch, ...] by the tensor names of ``graph.inputs``.
        """
        values: dict[str | None, np.ndarray | None] = {None: None, **self._constants, **inputs}
        for node, evaluate in zip(self._graph.nodes, self._evaluators, strict=True):
            values[node.output] = evaluate(*(values[name] for name in node.inputs))
            for name in self._dying.get(node.name, ()):
                del values[name]
        if self._keep_all:
            return {tensor.name: values[tensor.name] for tensor in self._graph.feature_maps()}
        return {port.tensor: values[port.tensor] for port in self._graph.outputs}
