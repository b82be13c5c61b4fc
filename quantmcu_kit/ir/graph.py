"""Tensor, Node, Graph: an immutable data-flow graph in execution order."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from quantmcu_kit.ir.types import DType, Quant
from quantmcu_kit.numerics.packing import packed_bytes, weight_rows


@dataclass(frozen=True, eq=False)
class Tensor:
    """A value of the graph.

    Attributes:
        name: unique within the graph.
        shape: NHWC for feature maps; the leading axis of every feature map is the batch and equals 1.
        dtype: element type.
        quant: how integers map to real values; None for float tensors and plain integers.
        data: the elements of a constant, else None.
        source: index of this tensor in the model file, None where a pass created it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: DType
    quant: Quant | None = None
    data: np.ndarray | None = None
    source: int | None = None

    @property
    def is_constant(self) -> bool:
        """Whether the value is known at build time."""
        return self.data is not None

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Bytes that the elements take in memory; below 8 bits each run begins in a byte of its own."""
        if not self.dtype.is_packed:
            return self.elements * self.dtype.numpy.itemsize
        has_rows = self.quant is not None and self.quant.axis == 0  # of output channels
        rows, run = weight_rows(self.shape or (1,), 0 if has_rows else -1)
        return rows * packed_bytes(run, self.dtype.bits)

    @property
    def pixel_bytes(self) -> int:
        """Bytes of one run of a feature map: of a pixel's channels, or of a whole vector."""
        run = self.shape[-1] if self.shape else 1
        return packed_bytes(run, self.dtype.bits) if self.dtype.is_packed else run * self.dtype.numpy.itemsize


@dataclass(frozen=True)
class Node:
    """One operator applied to tensors.

    Attributes:
        op: TFLite name, such as ``CONV_2D``; key into ``ops.TABLE``.
        name: unique within the graph; for people.
        attrs: the op's frozen ``Attrs`` dataclass.
        inputs: tensor names in the op's order, constants included; None for an absent optional input.
        outputs: tensor names.
        kernel: name of the variant in ``ops.variants`` that runs it in C, empty for the operator's portable kernel. It
            changes nothing of what is computed.
    """

    op: str
    name: str
    attrs: object
    inputs: tuple[str | None, ...]
    outputs: tuple[str, ...]
    kernel: str = ""

    @property
    def output(self) -> str:
        """The only output of a single-output node."""
        (output,) = self.outputs
        return output


@dataclass(frozen=True, eq=False)
class Port:
    """An input or output of the network: the graph's tensor, and what the model file exposes in its place.

    Attributes:
        tensor: name of the tensor inside the graph.
        name: the model file's name for it.
        dtype: element type in the model file.
        shape: shape in the model file.
        quant: quantization in the model file, None for float.
        permutation: model-file axes in the order of the graph's axes ((0, 2, 3, 1) for an NCHW input), or None.
        source: index of the exposed tensor in the model file.
    """

    tensor: str
    name: str
    dtype: DType
    shape: tuple[int, ...]
    quant: Quant | None = None
    permutation: tuple[int, ...] | None = None
    source: int = 0


@dataclass(frozen=True, eq=False)
class Graph:
    """A network. ``nodes`` are in execution order; tensors are looked up by name."""

    name: str
    tensors: Mapping[str, Tensor]
    nodes: tuple[Node, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    sha256: str = ""
    _producers: dict[str, Node] = field(default_factory=dict, repr=False)
    _consumers: dict[str, list[Node]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        producers: dict[str, Node] = {}
        consumers: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in node.outputs:
                producers[name] = node
            for name in dict.fromkeys(name for name in node.inputs if name is not None):
                consumers.setdefault(name, []).append(node)
        object.__setattr__(self, "_producers", producers)
        object.__setattr__(self, "_consumers", consumers)

    def producer(self, tensor: str) -> Node | None:
        """The node that writes ``tensor``; None for constants and network inputs."""
        return self._producers.get(tensor)

    def consumers(self, tensor: str) -> list[Node]:
        """The nodes that read ``tensor``, in execution order, each once."""
        return self._consumers.get(tensor, [])

    def is_output(self, tensor: str) -> bool:
        """Whether ``tensor`` leaves the network."""
        return any(port.tensor == tensor for port in self.outputs)

    def is_input(self, tensor: str) -> bool:
        """Whether ``tensor`` enters the network."""
        return any(port.tensor == tensor for port in self.inputs)

    def input_tensors(self, node: Node) -> tuple[Tensor | None, ...]:
        """The node's input tensors in order, None for absent optional inputs."""
        return tuple(None if name is None else self.tensors[name] for name in node.inputs)

    def activation_inputs(self, node: Node) -> tuple[str, ...]:
        """Names of the inputs that are computed at run time, in order, constants and absent ones left out."""
        return tuple(name for name in node.inputs if name is not None and not self.tensors[name].is_constant)

    def feature_maps(self) -> list[Tensor]:
        """Every tensor computed or received at run time: network inputs, then node outputs in execution order."""
        names = [port.tensor for port in self.inputs]
        names += [name for node in self.nodes for name in node.outputs]
        return [self.tensors[name] for name in dict.fromkeys(names)]

    def replace(
        self,
        *,
        nodes: Iterable[Node] | None = None,
        tensors: Mapping[str, Tensor] | None = None,
        inputs: Iterable[Port] | None = None,
        outputs: Iterable[Port] | None = None,
    ) -> Graph:
        """A copy with the given parts exchanged and tensors that nothing mentions dropped."""
        new_nodes = self.nodes if nodes is None else tuple(nodes)
        new_inputs = self.inputs if inputs is None else tuple(inputs)
        new_outputs = self.outputs if outputs is None else tuple(outputs)
        table = self.tensors if tensors is None else tensors
        used = {name for node in new_nodes for name in (*node.inputs, *node.outputs) if name is not None}
        used |= {port.tensor for port in (*new_inputs, *new_outputs)}
        kept = {name: tensor for name, tensor in table.items() if name in used}
        return dataclasses.replace(
            self, nodes=new_nodes, tensors=kept, inputs=new_inputs, outputs=new_outputs, _producers={}, _consumers={}
        )
