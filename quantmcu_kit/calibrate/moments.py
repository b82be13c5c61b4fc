"""Moments of the inputs of weighted layers, from the float network: what second-order rounding needs to know."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from quantmcu_kit.ir.graph import Graph, Node
from quantmcu_kit.ir.plans import InputMoments
from quantmcu_kit.ops.interpret import Interpreter
from quantmcu_kit.ops.spec import OpSpec
from quantmcu_kit.ops.table import TABLE

MAX_COLUMNS = 2048  # a covariance of this size has 32 MB; wider layers have many weights and need it least
_PIXELS = 96  # output pixels sampled per picture and layer


def gather_moments(graph: Graph, batches: Iterator[np.ndarray]) -> dict[str, InputMoments]:
    """Moments by node name, over float32 network inputs [n, ...] in the graph's layout."""
    interpreter = Interpreter(graph, integer=False, keep_all=True)
    nodes = [(node, TABLE[node.op]) for node in graph.nodes if TABLE[node.op].linear is not None]
    sums = {node.name: _Sums() for node, _ in nodes}
    generator = np.random.default_rng(0)
    for batch in batches:
        maps = interpreter.run({graph.inputs[0].tensor: batch})
        for node, spec in nodes:
            sums[node.name].add(_columns(graph, node, spec, maps[node.inputs[0]], generator))
    return {name: total.moments() for name, total in sums.items()}


def _columns(graph: Graph, node: Node, spec: OpSpec, x: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    def pick(count: int) -> np.ndarray:
        return np.arange(count) if count <= _PIXELS else generator.choice(count, _PIXELS, replace=False)

    return spec.linear.columns(node.attrs, x, graph.tensors[node.inputs[1]].data, pick)


class _Sums:
    """Running sums of columns and of their outer products."""

    def __init__(self) -> None:
        self._first: np.ndarray | None = None
        self._second: np.ndarray | None = None
        self._samples = 0

    def add(self, columns: np.ndarray) -> None:
        """Take in columns [groups, samples, k]."""
        first = columns.sum(axis=1, dtype=np.float64)
        self._first = first if self._first is None else self._first + first
        self._samples += columns.shape[1]
        if columns.shape[2] <= MAX_COLUMNS:
            second = np.matmul(columns.transpose(0, 2, 1), columns).astype(np.float64)
            self._second = second if self._second is None else self._second + second

    def moments(self) -> InputMoments:
        """Mean and covariance of all columns."""
        mean = self._first / self._samples
        if self._second is None:
            return InputMoments(mean, None, self._samples)
        covariance = self._second / self._samples - mean[:, :, None] * mean[:, None, :]
        return InputMoments(mean, covariance, self._samples)
