"""Remove axis shuffling that exporters leave behind: NCHW inputs, transposes before means, transposes that cancel."""

from __future__ import annotations

import dataclasses

from quantmcu_kit.ir.graph import Graph, Node, Port, Tensor
from quantmcu_kit.ops import mean as mean_op
from quantmcu_kit.ops import reshape, transpose
from quantmcu_kit.passes.rewire import rewire, same_quant, unique_name

Permutation = tuple[int, ...]

_NCHW_TO_NHWC: Permutation = (0, 2, 3, 1)


def clean_layout(graph: Graph) -> Graph:
    """The graph with fewer and smaller TRANSPOSE nodes; the others stay.

    * TRANSPOSE of an NCHW network input to NHWC goes into ``Port.permutation``.
    * TRANSPOSE of TRANSPOSE becomes one, or none where the two cancel.
    * TRANSPOSE before MEAN moves behind it, where fewer values, or none, are left to be moved.
    * TRANSPOSE that moves only axes of size 1 becomes RESHAPE, which costs nothing.

    A transpose only moves bytes and a mean does not care in which order it adds, so integers stay exact.
    Nodes that become unused are left for :func:`drop_unused`.
    """
    return _Sinking(_permute_inputs(graph)).run()


def compose(first: Permutation, second: Permutation) -> Permutation:
    """The permutation of ``first`` followed by ``second``."""
    return tuple(first[axis] for axis in second)


def _is_identity(permutation: Permutation) -> bool:
    return permutation == tuple(range(len(permutation)))


def _moves_bytes_only(graph: Graph, node: Node) -> bool:
    """Whether ``node`` is a TRANSPOSE between tensors of the same quantization."""
    return node.op == "TRANSPOSE" and same_quant(graph.tensors[node.inputs[0]], graph.tensors[node.output])


def _permute_inputs(graph: Graph) -> Graph:
    aliases: dict[str, str] = {}
    inputs = [_permute_input(graph, port, aliases) for port in graph.inputs]
    moved = {port.tensor for port in inputs}
    nodes = [node for node in graph.nodes if node.output not in moved and node.output not in aliases]
    return rewire(graph, nodes, aliases, inputs=inputs)


def _permute_input(graph: Graph, port: Port, aliases: dict[str, str]) -> Port:
    """The port behind its NCHW -> NHWC transposes, where nothing else reads it; else the port itself."""
    readers = graph.consumers(port.tensor)
    if not readers or graph.is_output(port.tensor):
        return port
    if not all(_moves_bytes_only(graph, node) and node.attrs.permutation == _NCHW_TO_NHWC for node in readers):
        return port
    first, *others = (node.output for node in readers)
    aliases.update(dict.fromkeys(others, first))
    before = port.permutation or tuple(range(len(_NCHW_TO_NHWC)))
    return dataclasses.replace(port, tensor=first, permutation=compose(before, _NCHW_TO_NHWC))


class _Sinking:
    """One walk in execution order that knows, for each transposed tensor, what it is a transpose of."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._tensors = dict(graph.tensors)
        self._node_names = {node.name for node in graph.nodes}
        self._sources: dict[str, tuple[str, Permutation]] = {}  # tensor -> (what it is a transpose of, how)
        self._nodes: list[Node] = []
        self._aliases: dict[str, str] = {}

    def run(self) -> Graph:
        for node in self._graph.nodes:
            if _moves_bytes_only(self._graph, node):
                self._transpose(node)
            elif node.op == "MEAN" and node.inputs[0] in self._sources:
                self._mean(node)
            else:
                self._nodes.append(node)
        return rewire(self._graph, self._nodes, self._aliases, tensors=self._tensors)

    def _transpose(self, node: Node) -> None:
        x = node.inputs[0]
        source, before = self._sources.get(x, (x, tuple(range(len(self._tensors[x].shape)))))
        permutation = compose(before, node.attrs.permutation)
        if _is_identity(permutation):
            self._aliases[node.output] = source
            return
        self._emit_transpose(node.name, source, permutation, node.output)

    def _emit_transpose(self, name: str, source: str, permutation: Permutation, output: str) -> None:
        """A node that writes ``output``; it needs no second operand, since its attributes say it all."""
        shape = self._tensors[source].shape
        moved = [axis for axis in permutation if shape[axis] != 1]
        if moved == sorted(moved):
            self._nodes.append(Node("RESHAPE", name, reshape.Attrs(self._tensors[output].shape), (source,), (output,)))
        else:
            self._nodes.append(Node("TRANSPOSE", name, transpose.Attrs(permutation), (source,), (output,)))
        self._sources[output] = (source, permutation)

    def _mean(self, node: Node) -> None:
        """MEAN over the axes of the untransposed tensor, then the transpose of what is left."""
        source, permutation = self._sources[node.inputs[0]]
        reduced = {permutation[axis] for axis in node.attrs.axes}
        attrs = dataclasses.replace(node.attrs, axes=tuple(sorted(reduced)))
        if not mean_op.axes_are_adjacent(attrs, self._tensors[source]):  # as the integer kernel needs them
            self._nodes.append(node)
            return
        kept = [axis for axis in range(len(permutation)) if node.attrs.keep_dims or axis not in reduced]
        rest = tuple(kept.index(axis) for axis in permutation if axis in kept)
        mean = dataclasses.replace(node, attrs=attrs, inputs=(source,))
        if _is_identity(rest):
            self._nodes.append(mean)
            return
        inner = self._untransposed(self._tensors[node.output], rest)
        self._nodes.append(dataclasses.replace(mean, outputs=(inner.name,)))
        name = unique_name(f"{node.name}/transpose", self._node_names)
        self._node_names.add(name)
        self._emit_transpose(name, inner.name, rest, node.output)

    def _untransposed(self, output: Tensor, permutation: Permutation) -> Tensor:
        """A new tensor whose transpose is ``output``."""
        shape = [0] * len(permutation)
        for position, axis in enumerate(permutation):
            shape[axis] = output.shape[position]
        name = unique_name(f"{output.name}/mean", self._tensors)
        inner = dataclasses.replace(output, name=name, shape=tuple(shape), source=None)
        self._tensors[name] = inner
        return inner
