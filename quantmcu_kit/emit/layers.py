"""Nodes of the graph as the generated C shows them: a comment, and a constant struct per kernel call.

How a layer's kernels are called depends on its stage: see ``stages.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from quantmcu_kit.emit.classes import CHOICE, PatchClasses, patch_classes
from quantmcu_kit.emit.constants import Constant, ConstantPool
from quantmcu_kit.emit.exchange import define_exchange
from quantmcu_kit.emit.names import comment
from quantmcu_kit.emit.structs import define_struct
from quantmcu_kit.ir.branches import Branches
from quantmcu_kit.ir.graph import Graph, Node, Tensor
from quantmcu_kit.ir.plans import MemoryPlan, StageMemory
from quantmcu_kit.ir.region import Region
from quantmcu_kit.ir.schedule import Schedule, Stage
from quantmcu_kit.ir.types import DType
from quantmcu_kit.ops.interpret import kernel_calls
from quantmcu_kit.ops.spec import KernelCall, OpSpec
from quantmcu_kit.ops.table import TABLE

_LINE = 120
_SHORT_TYPES = {
    DType.I8: "s8",
    DType.I32: "s32",
    DType.U4: "u4",
    DType.U2: "u2",
    DType.I4: "s4",
    DType.I2: "s2",
}


@dataclass(frozen=True)
class Call:
    """One kernel call.

    Attributes:
        kernel: name without prefix.
        label: of its struct, which is called k<label>.
        struct: the struct's definition in C, or that of an array of one per branch class.
        operands: what it reads, in order: a feature map, or a constant array.
        scratch_bytes, place: as in ``ops.spec.KernelCall``; the most of any class.
        differs: whether classes differ in the struct.
        scratchless: the classes, by number, that take no scratch where others do.
    """

    kernel: str
    label: str
    struct: str
    operands: tuple[Tensor | Constant, ...]
    scratch_bytes: int | None
    place: Region | None
    differs: bool = False
    scratchless: frozenset[int] = frozenset()

    @property
    def parameters(self) -> str:
        """The kernel's first argument."""
        return f"k{self.label} + {CHOICE}" if self.differs else f"&k{self.label}"


@dataclass(frozen=True, eq=False)
class Layer:
    """One node.

    Attributes:
        title: index, op and name, such as 07 DEPTHWISE_CONV_2D block_2/dw.
        facts: shapes, kind of weights and multiply-accumulates, parts of the first comment line.
        places: arena offsets of what the layer reads and writes, or the segment that it runs in.
        macs: multiply-accumulates, what patches compute again included.
        constants: the arrays that this layer introduced.
        calls: kernel calls in order; none for a view, and for what was written where it belongs.
        output_offset, output_bytes: where the result, or its tile, lies in the arena, and bytes of the whole result.
        scratch_offset: where its scratch lies, None where it needs none.
        exchange: the definition of x<index> in C: how patches of each class save rows of the output, and take them
            back; None where they copy them.
    """

    index: int
    node: Node
    title: str
    facts: tuple[str, ...]
    places: str
    macs: int
    constants: tuple[Constant, ...]
    calls: tuple[Call, ...]
    output_offset: int
    output_bytes: int
    scratch_offset: int | None
    exchange: str | None = None

    @property
    def weights_bytes(self) -> int:
        """Bytes of the layer's own constants."""
        return sum(constant.bytes for constant in self.constants)

    @property
    def comment(self) -> str:
        """The comment above the layer's constants and structs."""
        lines = [self.title]
        for part in (*self.facts, self.places):
            fits = len(lines[-1]) + len(part) + 3 + 6 <= _LINE and part is not self.places
            if fits:
                lines[-1] += f"   {part}"
            else:
                lines.append(f"   {part}")
        return "/* " + "\n * ".join(lines) + " */"


def build_layers(
    graph: Graph, schedule: Schedule, memory: MemoryPlan, pool: ConstantPool, branches: Branches | None = None
) -> tuple[Layer, ...]:
    """Every node in execution order; their constants go into ``pool``.

    Args:
        graph: that of all classes, where there are ``branches``.
    """
    layers: list[Layer] = []
    segment = -1
    for position, (stage, places) in enumerate(zip(schedule.stages, memory.stages, strict=True)):
        segment += stage.patches is not None
        classes = patch_classes(branches, schedule, position)
        for index in range(stage.start, stage.end):
            where = f"patch by patch in segment {segment}" if stage.patches else _places(graph, places, index)
            layers.append(_layer(graph, stage, places, pool, index, where, classes))
    return tuple(layers)


def _layer(
    graph: Graph,
    stage: Stage,
    memory: StageMemory,
    pool: ConstantPool,
    index: int,
    where: str,
    classes: PatchClasses | None,
) -> Layer:
    node = graph.nodes[index]
    spec = TABLE[node.op]
    graphs = classes.graphs if classes else (graph,)
    kernel_calls = [node_calls(each, node, memory, in_patches=stage.patches is not None) for each in graphs]
    known = len(pool.constants)
    calls = []
    for position, alike in enumerate(zip(*kernel_calls, strict=True)):
        label = f"{index:02d}" if len(kernel_calls[0]) == 1 else f"{index:02d}_{position}"
        calls.append(_call(graph, pool, node, alike, label, classes))
    exchange = None
    if classes and (entry := stage.patches.by_tensor.get(node.output)) and entry.kept_rows:
        exchange = define_exchange(node.output, index, pool, classes)
    return Layer(
        index=index,
        node=node,
        title=f"{index:02d} {node.op} {comment(node.name)}",
        facts=_facts(graph, node, spec, graphs),
        places=where if calls else _why_nothing(spec),
        macs=stage_macs(graph, stage, node),
        constants=tuple(pool.constants[known:]),
        calls=tuple(calls),
        output_offset=memory.offsets.get(node.output, 0),
        output_bytes=graph.tensors[node.output].bytes,
        scratch_offset=memory.scratch.get(node.name),
        exchange=exchange,
    )


def node_calls(
    graph: Graph, node: Node, memory: StageMemory | None = None, *, in_patches: bool = False
) -> tuple[KernelCall, ...]:
    """The kernel calls of a node, less what need not be done.

    Args:
        memory: of its stage: what lies in its place already is not copied.
        in_patches: the stage runs patch by patch: its views are left out, what follows them reads the map before them.
    """
    spec = TABLE[node.op]
    if in_patches and spec.is_view:
        return ()
    calls = kernel_calls(graph, node)
    if memory is None or not memory.joined:
        return calls
    return tuple(
        call
        for call in calls
        if not any(memory.joined.get(name) == node.output for name in read_maps(graph, node, call))
    )


def read_maps(graph: Graph, node: Node, call: KernelCall) -> Iterator[str]:
    """Feature maps among a call's arguments."""
    names = (node.inputs[argument] for argument in call.arguments if isinstance(argument, int))
    return (name for name in names if not graph.tensors[name].is_constant)


def _why_nothing(spec: OpSpec) -> str:
    """Why a node has no kernel call."""
    if spec.is_view:
        return "a view of the same bytes: nothing to compute"
    return "its inputs were written into their places: nothing to copy"


def stage_macs(graph: Graph, stage: Stage, node: Node) -> int:
    """Multiply-accumulates of a node in its stage: patches may compute pixels again, or leave out some."""
    macs = _macs(graph, node)
    entry = stage.patches.by_tensor.get(node.output) if stage.patches else None
    if entry is None:
        return macs
    _, height, width, _ = graph.tensors[node.output].shape
    return macs // (height * width) * entry.pixels


def _macs(graph: Graph, node: Node) -> int:
    return TABLE[node.op].cost(node.attrs, graph.input_tensors(node), graph.tensors[node.output]).macs


def _dimensions(name: str, graphs: Sequence[Graph]) -> str:
    """Shape and type of a map, or its types by branch class."""
    shape = graphs[0].tensors[name].shape
    shape = shape[1:] if len(shape) > 1 and shape[0] == 1 else shape
    types = dict.fromkeys(_SHORT_TYPES[graph.tensors[name].dtype] for graph in graphs)
    return f"{'x'.join(map(str, shape)) or '1'} {'|'.join(types)}"


def _facts(graph: Graph, node: Node, spec: OpSpec, graphs: Sequence[Graph]) -> tuple[str, ...]:
    maps = [_dimensions(name, graphs) for name in graph.activation_inputs(node)]
    facts = [" + ".join(maps) + " -> " + _dimensions(node.output, graphs)]
    if spec.weight_axis is not None:
        weights = graph.tensors[node.inputs[1]]
        scales = "tensor" if weights.quant.axis is None else "channel"
        facts.append(f"weights {_SHORT_TYPES[weights.dtype]} per {scales}")
    macs = _macs(graph, node)
    if macs:
        facts.append(f"{macs / 1e6:.2f} MMAC" if macs >= 10_000 else f"{macs:,} MAC")
    return tuple(facts)


def _places(graph: Graph, memory: StageMemory, index: int) -> str:
    node = graph.nodes[index]

    def place(name: str) -> str:
        return f"{'external ' if name in memory.external else ''}@{memory.offsets[name]}"

    sources = ", ".join(map(place, graph.activation_inputs(node)))
    places = f"arena: in {sources}, out {place(node.output)}"
    if node.name in memory.scratch:
        places += f", scratch @{memory.scratch[node.name]}"
    return places


def _call(
    graph: Graph,
    pool: ConstantPool,
    node: Node,
    alike: Sequence[KernelCall],
    label: str,
    classes: PatchClasses | None,
) -> Call:
    """One kernel call.

    Args:
        alike: the call by number of the branch class; they differ in the struct and in scratch alone.
        label: numbers the struct within the library.
    """
    first = alike[0]
    operands: list[Tensor | Constant] = []
    for position, argument in enumerate(first.arguments):
        tensor = None if isinstance(argument, np.ndarray) else graph.tensors[node.inputs[argument]]
        values = argument if tensor is None else tensor.data
        operands.append(tensor if values is None else pool.add(label, f"operand{position}", values))
    for call in alike[1:]:
        assert (call.kernel, call.place) == (first.kernel, first.place), "classes run the same kernels"
        assert all(map(np.array_equal, call.arguments, first.arguments)), "on the same operands"
    struct, differs = define_struct(first.kernel, label, [call.fields for call in alike], pool, classes)
    most = None if first.scratch_bytes is None else max(call.scratch_bytes for call in alike)
    scratchless = frozenset(number for number, call in enumerate(alike) if most and not call.scratch_bytes)
    return Call(first.kernel, label, struct, tuple(operands), most, first.place, differs, scratchless)
