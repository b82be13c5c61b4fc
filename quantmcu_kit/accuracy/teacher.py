"""The float network in torch: what a quantized one is to give."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from quantmcu_kit.accuracy.forward import run_float
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ops.table import TABLE


class Teacher:
    """Some maps of a float network.

    Args:
        names: of the maps that are wanted.
    """

    def __init__(self, graph: Graph, names: Collection[str]) -> None:
        last = max(index for index, node in enumerate(graph.nodes) if node.output in names)
        self._nodes = graph.nodes[: last + 1]
        self._source, self._names = graph.inputs[0].tensor, frozenset(names)
        self._constants: dict[str, Tensor] = {}
        for node in self._nodes:
            for position, name in enumerate(node.inputs):
                if name is not None and graph.tensors[name].is_constant:
                    values = torch.from_numpy(graph.tensors[name].data.copy())
                    is_bias = TABLE[node.op].weight_axis is not None and position == 2
                    self._constants[name] = values.reshape(-1) if is_bias else values
        readers = {name: index for index, node in enumerate(self._nodes) for name in node.inputs}
        self._done = [
            [name for name, at in readers.items() if at == index and name not in self._constants]
            for index in range(len(self._nodes))
        ]

    @torch.no_grad()
    def run(self, x: Tensor) -> dict[str, Tensor]:
        """The wanted maps of inputs [n, ...]."""
        values: dict[str | None, Tensor | None] = {None: None, self._source: x, **self._constants}
        found = {}
        for node, done in zip(self._nodes, self._done, strict=True):
            values[node.output] = run_float(node, *(values[name] for name in node.inputs))
            if node.output in self._names:
                found[node.output] = values[node.output]
            for name in done:
                if name is not None:
                    del values[name]
        return found
