"""Nodes of the graph as the generated C shows them: a comment, and a constant struct per kernel call.

How a layer's kernels are called depends on its stage: see ``stages.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantmcu_kit.emit.constants import Constant, ConstantPool
from quantmcu_kit.emit.names import comment
from quantmcu_kit.ir.graph import Graph, Node, Tensor
from quantmcu_kit.ir.plans import MemoryPlan, StageMemory
from quantmcu_kit.ir.region import Region
from quantmcu_kit.ir.schedule import Schedule, Stage
from quantmcu_kit.ir.types import DType
from quantmcu_kit.ops.interpret import prepare_node
from quantmcu_kit.ops.spec import KernelCall, OpSpec
from quantmcu_kit.ops.table import TABLE

_LINE = 120
_DIMENSIONS = frozenset(("h", "w", "c", "bits", "top", "left"))
_SHORT_TYPES = {DType.I8: "s8", DType.I32: "s32"}


@dataclass(frozen=True)
class Call:
    """One kernel call.

    Attributes:
        kernel: name without prefix.
        label: of its struct, which is called k<label>.
        struct: the struct's definition in C.
        operands: what it reads, in order: a feature map, or a constant array.
        scratch_bytes, place: as in ``ops.spec.KernelCall``.
    """

    kernel: str
    label: str
    struct: str
    operands: tuple[Tensor | Constant, ...]
    scratch_bytes: int | None
    place: Region | None


@dataclass(frozen=True, eq=False)
class Layer:
    """One node.

    Attributes:
        title: index, op and name, such as 07 DEPTHWISE_CONV_2D block_2/dw.
        facts: shapes, kind of weights and multiply-accumulates, parts of the first comment line.
        places: arena offsets of what the layer reads and writes, or the segment that it runs in.
        macs: multiply-accumulates, what patches compute again included.
        constants: the arrays that this layer introduced.
        calls: kernel calls in order; none for a view.
        output_offset, output_bytes: where the result, or its tile, lies in the arena, and bytes of the whole result.
        scratch_offset: where its scratch lies, None where it needs none.
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


def build_layers(graph: Graph, schedule: Schedule, memory: MemoryPlan, pool: ConstantPool) -> tuple[Layer, ...]:
    """Every node in execution order; their constants go into ``pool``."""
    layers: list[Layer] = []
    segment = -1
    for stage, places in zip(schedule.stages, memory.stages, strict=True):
        segment += stage.patches is not None
        for index in range(stage.start, stage.end):
            where = f"patch by patch in segment {segment}" if stage.patches else _places(graph, places, index)
            layers.append(_layer(graph, stage, places, pool, index, where))
    return tuple(layers)


def _layer(graph: Graph, stage: Stage, memory: StageMemory, pool: ConstantPool, index: int, where: str) -> Layer:
    node = graph.nodes[index]
    spec = TABLE[node.op]
    kernel_calls = spec.emit(prepare_node(graph, node))
    known = len(pool.constants)
    calls = []
    for position, kernel_call in enumerate(kernel_calls):
        label = f"{index:02d}" if len(kernel_calls) == 1 else f"{index:02d}_{position}"
        calls.append(_call(graph, pool, node, kernel_call, label))
    return Layer(
        index=index,
        node=node,
        title=f"{index:02d} {node.op} {comment(node.name)}",
        facts=_facts(graph, node, spec),
        places=where if calls else "a view of the same bytes: nothing to compute",
        macs=stage_macs(graph, stage, node),
        constants=tuple(pool.constants[known:]),
        calls=tuple(calls),
        output_offset=memory.offsets.get(node.output, 0),
        output_bytes=graph.tensors[node.output].bytes,
        scratch_offset=memory.scratch.get(node.name),
    )


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


def _dimensions(tensor: Tensor) -> str:
    shape = tensor.shape[1:] if len(tensor.shape) > 1 and tensor.shape[0] == 1 else tensor.shape
    return f"{'x'.join(map(str, shape)) or '1'} {_SHORT_TYPES[tensor.dtype]}"


def _facts(graph: Graph, node: Node, spec: OpSpec) -> tuple[str, ...]:
    maps = [graph.tensors[name] for name in graph.activation_inputs(node)]
    facts = [" + ".join(map(_dimensions, maps)) + " -> " + _dimensions(graph.tensors[node.output])]
    if spec.weight_axis is not None:
        weights = graph.tensors[node.inputs[1]]
        facts.append(f"weights s8 per {'tensor' if weights.quant.axis is None else 'channel'}")
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


def _call(graph: Graph, pool: ConstantPool, node: Node, kernel_call: KernelCall, label: str) -> Call:
    """The struct of one kernel call; ``label`` numbers it within the library."""
    operands: list[Tensor | Constant] = []
    for position, argument in enumerate(kernel_call.arguments):
        tensor = None if isinstance(argument, np.ndarray) else graph.tensors[node.inputs[argument]]
        values = argument if tensor is None else tensor.data
        operands.append(tensor if values is None else pool.add(label, f"operand{position}", values))
    head = f"static const qmcu_{kernel_call.kernel}_t k{label} = {{"
    fields = _field_texts(kernel_call.fields, pool, label)
    body = ", ".join(fields)
    if len(head) + len(body) + 2 > _LINE or "\n" in body:
        body = f"\n{_wrap(fields, 4)}\n"
    struct = f"{head}{body}}};"
    return Call(kernel_call.kernel, label, struct, tuple(operands), kernel_call.scratch_bytes, kernel_call.place)


def _field_texts(fields: tuple, pool: ConstantPool, label: str) -> list[str]:
    """``.name = value`` per field, in the struct's order."""
    return [f".{name} = {_value_text(name, value, pool, label)}" for name, value in fields]


def _value_text(name: str, value: object, pool: ConstantPool, label: str) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, np.ndarray):
        return pool.add(label, name, value).name
    if isinstance(value, tuple):
        if all(inner in _DIMENSIONS for inner, _ in value):  # sizes read better without names
            return "{" + ", ".join(str(int(number)) for _, number in value) + "}"
        inner = _field_texts(value, pool, label)
        one_line = "{" + ", ".join(inner) + "}"
        return one_line if len(one_line) < _LINE - 24 else "{\n" + _wrap(inner, 8) + "\n    }"
    return str(int(value))


def _wrap(items: list[str], indent: int) -> str:
    """Items, each followed by a comma, filled into lines; a nested struct stands alone."""
    margin = " " * indent
    lines: list[str] = []
    full = True
    for item in items:
        stands_alone = "{." in item or "\n" in item
        if full or stands_alone or len(lines[-1]) + len(item) + 2 > _LINE:
            lines.append(f"{margin}{item},")
        else:
            lines[-1] += f" {item},"
        full = stands_alone
    return "\n".join(lines)
