"""Remove channels that hold one value whatever the input, and channels that nothing reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from quantmcu_kit.ir.graph import Graph, Node, Tensor
from quantmcu_kit.ir.types import DType, Quant
from quantmcu_kit.numerics.fixedpoint import INT32_MAX
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.passes.constant_channels import (
    Constants,
    Windows,
    channels_of,
    constant_channels,
    is_per_channel,
    is_view_of_channels,
    joins_channels,
    windows_of,
)
from quantmcu_kit.passes.rewire import unique_name

_WITH_OPERANDS = frozenset(("ADD", "CONCATENATION", "MUL", "SUB"))  # whose constants are values, not sizes or axes

Masks = dict[str, np.ndarray]  # bool [channels] of each feature map


def remove_dead_channels(graph: Graph) -> Graph:
    """The integer graph without channels that do not matter; a float graph as it is.

    A channel goes where each layer that reads it multiplies it with zero weights, or where it is constant and adds the
    same to every accumulator of a layer: that goes into the layer's bias. A constant other than the zero-point in front
    of a padded window adds less at the borders, so such a channel stays, unless the layer's own output is constant.

    Exact. No bound grows, as |bias'| + Σ|kept weight|·|input| <= |bias| + Σ|weight|·|input|. (FULLY_CONNECTED chooses
    its multipliers for that bound; for a lower one they are exact wherever they were.)
    """
    if any(tensor.dtype.is_float for tensor in graph.feature_maps()):
        return graph
    return remove_alike({"": graph})[""]


def remove_alike(graphs: Mapping[str, Graph], whole: frozenset[str] = frozenset()) -> dict[str, Graph]:
    """:func:`remove_dead_channels` of integer graphs that differ in quantization and biases alone: the same channels.

    Args:
        whole: maps that keep all of their channels.
    """
    constants = _agreed(graphs, {name: constant_channels(graph) for name, graph in graphs.items()})
    kept = _Kept(graphs, constants, whole).masks()
    if all(mask.all() for mask in kept.values()):
        return dict(graphs)
    return {name: _Cut(graph, kept, constants[name]).run() for name, graph in graphs.items()}


def count_removed_channels(before: Graph, after: Graph) -> int:
    """How many output channels the layers with weights have lost."""
    names = {node.name for node in after.nodes if TABLE[node.op].weight_axis is not None}
    counts = [
        sum(channels_of(graph.tensors[node.output]) for node in graph.nodes if node.name in names)
        for graph in (before, after)
    ]
    return counts[0] - counts[1]


def _agreed(
    graphs: Mapping[str, Graph], found: Mapping[str, Mapping[str, Constants]]
) -> dict[str, dict[str, Constants]]:
    """What is known in all graphs; where a map is the same in all of them, so must be its constants."""
    first, *others = graphs
    agreed = {name: dict(constants) for name, constants in found.items()}
    for tensor in graphs[first].feature_maps() if others else ():
        alike = [graph.tensors[tensor.name] for graph in graphs.values()]
        is_common = all(other.dtype is tensor.dtype and other.quant.same_as(tensor.quant) for other in alike)
        seen = [constants[tensor.name] for constants in found.values()]
        known = np.logical_and.reduce([constants.known for constants in seen])
        if is_common:
            known &= np.logical_and.reduce([constants.values == seen[0].values for constants in seen])
        for name in graphs:
            agreed[name][tensor.name] = dataclasses.replace(found[name][tensor.name], known=known)
    return agreed


class _Kept:
    """Finds the least set of channels that the network's outputs need: what a layer needs is added until nothing is."""

    def __init__(
        self, graphs: Mapping[str, Graph], constants: Mapping[str, Mapping[str, Constants]], whole: frozenset[str]
    ) -> None:
        self._graph = next(iter(graphs.values()))
        self._known = {name: each.known for name, each in next(iter(constants.values())).items()}
        self._is_zero = {
            name: np.logical_and.reduce(
                [constants[each][name].values == graphs[each].tensors[name].quant.z for each in graphs]
            )
            for name in self._known
        }
        self._windows = {node.name: windows_of(self._graph, node) for node in self._graph.nodes}
        self._kept: Masks = {name: np.zeros(len(known), bool) for name, known in self._known.items()}
        for port in (*self._graph.inputs, *self._graph.outputs):
            self._add(port.tensor, True)
        for name in whole:
            self._add(name, True)

    def masks(self) -> Masks:
        """Which channels stay, of each feature map; one at least."""
        nodes = self._graph.nodes
        before = -1
        while before != (before := sum(int(mask.sum()) for mask in self._kept.values())):
            for node in (*reversed(nodes), *nodes):  # needs go backwards, ties both ways
                if not self._kept[node.output].any():
                    self._kept[node.output][0] = True
                self._visit(node)
        return self._kept

    def _add(self, name: str, channels: np.ndarray | bool) -> None:
        self._kept[name] |= channels

    def _visit(self, node: Node) -> None:
        windows = self._windows[node.name]
        if windows is not None and windows.is_depthwise:
            self._tie_groups(node, windows.taps.shape[3])
        elif windows is not None:
            self._add(node.inputs[0], self._needed(node, windows))
        elif is_per_channel(self._graph, node):
            self._tie(*self._graph.activation_inputs(node), node.output)
        elif is_view_of_channels(self._graph, node):
            self._tie_view(node)
        elif joins_channels(self._graph, node):
            self._tie_parts(node)
        else:
            for name in (*self._graph.activation_inputs(node), node.output):
                self._add(name, True)

    def _needed(self, node: Node, windows: Windows) -> np.ndarray:
        """Input channels that the kept output channels cannot do without."""
        x = node.inputs[0]
        taps = windows.taps[..., self._kept[node.output]]
        used = (taps != 0).any(axis=(0, 1, 3))
        doubtful = used & self._known[x] & ~self._is_zero[x]  # what they add may depend on the place
        sums = windows.per_class(taps[:, :, doubtful])
        used[self._known[x]] = False
        used[doubtful] = (sums != sums[:1, :1]).any(axis=(0, 1, 3))
        return used

    def _tie(self, *names: str) -> None:
        """All of the maps keep the same channels."""
        together = np.logical_or.reduce([self._kept[name] for name in names])
        for name in names:
            self._add(name, together)

    def _tie_groups(self, node: Node, multiplier: int) -> None:
        """An input channel stays with all of its outputs."""
        x, y = node.inputs[0], node.output
        groups = self._kept[x] | self._kept[y].reshape(-1, multiplier).any(axis=1)
        self._add(x, groups)
        self._add(y, np.repeat(groups, multiplier))

    def _tie_view(self, node: Node) -> None:
        narrow, wide = sorted((node.inputs[0], node.output), key=lambda name: len(self._kept[name]))
        channels = len(self._kept[narrow])
        together = self._kept[narrow] | self._kept[wide].reshape(-1, channels).any(axis=0)
        self._add(narrow, together)
        self._add(wide, np.tile(together, len(self._kept[wide]) // channels))

    def _tie_parts(self, node: Node) -> None:
        joined = self._kept[node.output]
        end = 0
        for tensor in self._graph.input_tensors(node):
            part = joined[end : end + channels_of(tensor)]  # a view
            end += channels_of(tensor)
            if tensor.is_constant:
                part[0] |= not part.any()
            else:
                self._add(tensor.name, part)
                part |= self._kept[tensor.name]


class _Cut:
    """A graph with the kept channels of each map."""

    def __init__(self, graph: Graph, kept: Masks, constants: Mapping[str, Constants]) -> None:
        self._graph, self._kept, self._constants = graph, kept, constants
        self._tensors = dict(graph.tensors)

    def run(self) -> Graph:
        for name, mask in self._kept.items():
            if not mask.all():
                tensor = self._graph.tensors[name]
                shape = (*tensor.shape[:-1], int(mask.sum()))
                self._tensors[name] = dataclasses.replace(tensor, shape=shape, source=None)
        nodes = [self._node(node) for node in self._graph.nodes]
        return self._graph.replace(nodes=nodes, tensors=self._tensors)

    def _node(self, node: Node) -> Node:
        if all(self._kept[name].all() for name in (*self._graph.activation_inputs(node), node.output)):
            return node
        windows = windows_of(self._graph, node)
        if windows is not None:
            return self._weighted(node, windows)
        if node.op == "RESHAPE":
            return dataclasses.replace(node, attrs=dataclasses.replace(node.attrs, shape=self._shape(node.output)))
        return self._operands(node) if node.op in _WITH_OPERANDS else node

    def _shape(self, name: str) -> tuple[int, ...]:
        return self._tensors[name].shape

    def _operands(self, node: Node) -> Node:
        """Constant operands with the output's kept channels, or with those of their part of it."""
        kept, inputs, end = self._kept[node.output], [], 0
        for tensor in self._graph.input_tensors(node):
            channels = channels_of(tensor)
            mask = kept
            if joins_channels(self._graph, node):
                mask = kept[end : end + channels]
                end += channels
            if tensor.is_constant and channels == len(mask):
                inputs.append(self._put(node, tensor, tensor.data[..., mask], tensor.quant))
            else:
                inputs.append(tensor.name)
        return dataclasses.replace(node, inputs=tuple(inputs))

    def _weighted(self, node: Node, windows: Windows) -> Node:
        x, y = node.inputs[0], node.output
        weights, bias = (*self._graph.input_tensors(node), None)[1:3]
        outer = self._kept[y]
        cut = _cut_weights(node, weights.data, self._kept[x], outer)
        names = [x, self._put(node, weights, cut, _cut_quant(weights.quant, outer))]
        added = self._added(x, windows)[outer]
        if bias is not None:
            values = bias.data.reshape(-1)[outer] + added
            assert np.abs(values).max(initial=0) <= INT32_MAX, "no bound grows"
            names.append(self._put(node, bias, values.astype(np.int32), _cut_quant(bias.quant, outer)))
        elif added.any():
            names.append(self._new_bias(node, added.astype(np.int32)))
        return dataclasses.replace(node, inputs=tuple(names))

    def _added(self, x: str, windows: Windows) -> np.ndarray:
        """int64 [outputs]: what the constants that go add to every accumulator."""
        if windows.is_depthwise:  # its channels go together with their outputs
            return np.zeros(windows.taps.shape[2] * windows.taps.shape[3], np.int64)
        gone = self._constants[x].known & ~self._kept[x]
        centred = self._constants[x].values[gone] - self._graph.tensors[x].quant.z
        per_tap = np.einsum("yxio,i->yxo", windows.taps[:, :, gone].astype(np.int64), centred)
        return windows.per_class(per_tap)[0, 0]  # the same for every class: see _Kept

    def _put(self, node: Node, old: Tensor, data: np.ndarray, quant: Quant | None) -> str:
        """``old`` with other values: under its own name, or under a new one where other nodes read it too."""
        shared = len(self._graph.consumers(old.name)) > 1
        name = unique_name(f"{node.name}/{old.name}", self._tensors) if shared else old.name
        self._tensors[name] = dataclasses.replace(
            old, name=name, shape=data.shape, data=np.ascontiguousarray(data), quant=quant, source=None
        )
        return name

    def _new_bias(self, node: Node, values: np.ndarray) -> str:
        x, weights = self._graph.input_tensors(node)[:2]
        name = unique_name(f"{node.name}/bias", self._tensors)
        scale = x.quant.s * _cut_quant(weights.quant, self._kept[node.output]).scale
        quant = Quant(scale.astype(np.float32), np.zeros(len(scale), np.int32), 0)
        self._tensors[name] = Tensor(name, values.shape, DType.I32, quant, values)
        return name


def _cut_weights(node: Node, weights: np.ndarray, inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
    """Weights of the kept input and output channels."""
    if node.op == "DEPTHWISE_CONV_2D":
        return weights[..., outer]
    if node.op == "CONV_2D":
        return weights[outer][..., inner]
    return weights.reshape(len(weights), -1, len(inner))[outer][..., inner].reshape(int(outer.sum()), -1)


def _cut_quant(quant: Quant | None, outer: np.ndarray) -> Quant | None:
    """Quantization of the kept channels, where it is one per channel."""
    if quant is None or quant.scale.size != len(outer):
        return quant
    zero_point = quant.zero_point if quant.zero_point.size != len(outer) else quant.zero_point[outer]
    return dataclasses.replace(quant, scale=quant.scale[outer], zero_point=zero_point)
