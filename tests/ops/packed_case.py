"""One-operator integer graphs on maps and weights of 8, 4 and 2 bits; the lists are in ``cases_packed_*.py``."""

from __future__ import annotations

import itertools
import zlib
from dataclasses import dataclass

import numpy as np

from quantmcu_kit.ir.graph import Graph, Node, Port, Tensor
from quantmcu_kit.ir.types import DType, Quant

WIDTHS = (8, 4, 2)


@dataclass(frozen=True, eq=False)
class PackedCase:
    """An operator applied to tensors, as an integer graph of its own.

    Attributes:
        name: unique among the operator's cases.
        graph: of one node.
    """

    name: str
    graph: Graph

    def __str__(self) -> str:
        return f"{self.graph.nodes[0].op.lower()}-{self.name}"

    def pictures(self, count: int) -> list[np.ndarray]:
        """Random values for each network input, [count, ...]; the first two are all-low and all-high."""
        rng = random_for(str(self))
        return [_random(self.graph.tensors[port.tensor], count, rng) for port in self.graph.inputs]


def random_for(name: str) -> np.random.Generator:
    """Random numbers that a name decides."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def case(name: str, op: str, attrs: object, inputs: tuple[Tensor | None, ...], output: Tensor) -> PackedCase:
    """A case; inputs that are no constants are the network's inputs."""
    tensors = {tensor.name: tensor for tensor in (*inputs, output) if tensor is not None}
    names = tuple(None if tensor is None else tensor.name for tensor in inputs)
    node = Node(op, output.name, attrs, names, (output.name,))
    maps = [tensor for tensor in inputs if tensor is not None and not tensor.is_constant]
    ports = tuple(Port(t.name, t.name, t.dtype, t.shape, t.quant) for t in maps)
    out = Port(output.name, output.name, output.dtype, output.shape, output.quant)
    return PackedCase(name, Graph("case", tensors, (node,), ports, (out,)))


def feature_map(name: str, shape: tuple[int, ...], bits: int, scale: float, zero_point: int) -> Tensor:
    """A feature map; the zero-point is a value of its type."""
    dtype = DType.feature_map(bits)
    assert dtype.low <= zero_point <= dtype.high, (zero_point, dtype)
    return Tensor(name, shape, dtype, Quant.per_tensor(scale, zero_point))


def mixtures(count: int) -> list[tuple[int, ...]]:
    """All widths of so many tensors."""
    return list(itertools.product(WIDTHS, repeat=count))


def _random(tensor: Tensor, count: int, rng: np.random.Generator) -> np.ndarray:
    dtype = tensor.dtype
    values = rng.integers(dtype.low, dtype.high, (count, *tensor.shape[1:]), endpoint=True).astype(dtype.numpy)
    values[0] = dtype.low
    values[1:2] = dtype.high
    return values
