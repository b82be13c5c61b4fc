"""Stages of a schedule as the generated C shows them: statements for layers, and tables and a function for patches."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from quantmcu_kit.emit.classes import CHOICE, PatchClasses, patch_classes
from quantmcu_kit.emit.constants import Constant
from quantmcu_kit.emit.layers import Call, Layer
from quantmcu_kit.emit.segment_work import moves
from quantmcu_kit.ir.branches import Branches
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import MemoryPlan, StageMemory
from quantmcu_kit.ir.schedule import HaloMode, PatchedMap, Patches, Schedule, Span, Stage
from quantmcu_kit.ops.interpret import sum_bytes

_LINE = 119
_KEEPS = {
    HaloMode.RECOMPUTE: "each patch computes its own halo",
    HaloMode.REUSE_ROWS: "rows are kept for the patches below",
    HaloMode.REUSE_COLUMNS: "columns are kept for the patch to the right",
    HaloMode.REUSE: "rows and columns are kept, nothing is computed twice",
}


def at(offset: int, memory: str = "arena") -> str:
    """An address in the arena, or in external RAM."""
    return f"{memory} + {offset}" if offset else memory


def address(memory: StageMemory, tensor: str) -> str:
    """Where a map lies."""
    return at(memory.offsets[tensor], "external" if tensor in memory.external else "arena")


@dataclass(frozen=True)
class Move:
    """A map between two stages that moves to where the next one wants it."""

    source: str
    target: str
    bytes: int

    @property
    def statement(self) -> str:
        """The move in C."""
        return f"memmove({self.target}, {self.source}, {self.bytes});"


@dataclass(frozen=True, eq=False)
class WholeStage:
    """Layers that run one after another.

    Attributes:
        statements: one line per kernel call, with the trace hook in a column of its own.
    """

    layers: tuple[Layer, ...]
    statements: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Segment:
    """Layers that run patch by patch: a function for one row of patches, and what stands around it.

    Attributes:
        index: position among the segments, part of the names in C.
        layers: all of them, the reduction at the end included.
        stage, memory: what it is made of.
        classes: of its patches; None where all are alike.
    """

    index: int
    graph: Graph
    layers: tuple[Layer, ...]
    stage: Stage
    memory: StageMemory
    classes: PatchClasses | None

    @property
    def name(self) -> str:
        """Prefix of its identifiers."""
        return f"segment_{self.index}"

    @property
    def patches(self) -> Patches:
        """Grid, mode and maps."""
        return self.stage.patches

    @property
    def rows(self) -> int:
        """Rows of patches, those included in which only earlier maps compute."""
        return self.patches.row_steps

    @property
    def columns(self) -> int:
        """Patches in a row, likewise."""
        return self.patches.column_steps

    @property
    def pulls_input(self) -> bool:
        """Whether the network's input is asked for, patch by patch."""
        return self.patches.pulls_input

    @property
    def keeps_columns(self) -> int:
        """1 where tiles keep columns."""
        return int(self.patches.mode.keeps_columns)

    @property
    def comment(self) -> str:
        """What it is, above its tables."""
        first, last = self.layers[0].index, self.layers[-1].index
        cut = self.patches.maps[-1]
        height, width = cut.rows[-1].end, cut.columns[-1].end
        lines = [
            f"Segment {self.index}: layers {first:02d} to {last:02d} in {self.rows}x{self.columns} patches, "
            f"up to a map of {height}x{width}; {_KEEPS[self.patches.mode]}."
        ]
        if self.patches.accumulates:
            lines.append("The last layer adds up the pixels of all patches.")
        if self.pulls_input:
            lines.append("Its input is not in the arena: each patch asks for the pixels that are new.")
        if self.classes:
            lines.append(
                f"Patches are of two classes, {self.classes.told_by}. Types of maps that differ stand above as "
                f"{'|'.join(self.classes.names)}."
            )
        return "/* " + "\n * ".join(line for text in lines for line in textwrap.wrap(text, 113)) + " */"

    @property
    def map_rows(self) -> tuple[str, ...]:
        """A qmcu_map_t per map, with a comment."""
        return self._map_rows(self.graph)

    @property
    def class_map_rows(self) -> tuple[tuple[str, ...], ...]:
        """The same by number of the branch class."""
        return tuple(map(self._map_rows, self.classes.graphs))

    @property
    def class_choice(self) -> str:
        """What tells the number of a patch's class."""
        if self.classes.is_scanned:
            return f"!qmcu_is_outlier(&patch, &{self.name}_scan)"
        return f"{self.name}_classes[row][column]"

    def _map_rows(self, graph: Graph) -> tuple[str, ...]:
        return tuple(self._map_row(graph, index, entry) for index, entry in enumerate(self.patches.maps))

    def _map_row(self, graph: Graph, index: int, entry: PatchedMap) -> str:
        tensor = graph.tensors[entry.tensor]
        _, height, width, channels = tensor.shape
        tile, kept = self.memory.offsets[entry.tensor], self.memory.kept.get(entry.tensor, 0)
        held = entry.held
        what = "all of" if (held.h, held.w) == (height, width) else f"{held.h}x{held.w} of"
        of_map = f"{width}, {channels}, {tensor.pixel_bytes}"
        fields = f"{{{tile}, {kept}, {held.h}, {held.w}, {of_map}, {entry.kept_rows}}},"
        rows = f", {entry.kept_rows} rows kept" if entry.kept_rows else ""
        return f"{fields:<48} /* {index}: {what} {height}x{width}x{channels}{rows} */"

    @property
    def row_spans(self) -> tuple[str, ...]:
        """The spans of all maps, per row of patches."""
        return _span_rows([entry.rows for entry in self.patches.maps])

    @property
    def column_spans(self) -> tuple[str, ...]:
        """The spans of all maps, per patch in a row."""
        return _span_rows([entry.columns for entry in self.patches.maps])

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {entry.tensor: index for index, entry in enumerate(self.patches.maps)}

    @property
    def entry_statements(self) -> tuple[str, ...]:
        """What makes room for the input, where it is pulled."""
        return self._enter(self.patches.input) if self.pulls_input else ()

    @property
    def statements(self) -> tuple[str, ...]:
        """The body of the loop over the patches of a row: a few lines per layer."""
        return tuple(line for layer in self._tiled for line in self._tiled_lines(layer))

    @property
    def begin_statements(self) -> tuple[str, ...]:
        """What runs before the first patch."""
        if not self.patches.accumulates:
            return ()
        return (f"memset({at(self.memory.sums)}, 0, {sum_bytes(self.graph, self.layers[-1].node)});",)

    @property
    def run_statements(self) -> tuple[str, ...]:
        """All rows of patches, unless they run while the input is read, and what is left after them."""
        return (*(() if self.pulls_input else self._row_loop), *self._end_statements)

    @property
    def _row_loop(self) -> tuple[str, ...]:
        return (
            f"for (int32_t row = 0; row < {self.rows}; ++row) {{",
            f"    {self.name}_row(arena, row);",
            "}",
        )

    @property
    def _end_statements(self) -> tuple[str, ...]:
        if not self.patches.accumulates:
            return ()
        layer = self.layers[-1]
        call = layer.calls[0]
        output = at(layer.output_offset)
        return (
            f"qmcu_{call.kernel}_end(&k{call.label}, {self._sums}, {output});"
            f" TRACE({layer.index}, {output}, {layer.output_bytes});",
        )

    @property
    def _sums(self) -> str:
        return f"(int32_t *)(void *)({at(self.memory.sums)})"

    @property
    def _tiled(self) -> tuple[Layer, ...]:
        return tuple(layer for layer in self.layers if layer.node.output in self._positions)

    def _tiled_lines(self, layer: Layer) -> Iterator[str]:
        output = layer.node.output
        yield from self._enter(output)
        yield f"if (qmcu_is_new(&patch, {self._positions[output]})) {{"
        yield from (f"    {line}" for line in self._part_lines(layer))
        yield "}"
        for entry in self.patches.maps:
            if entry.last_node == layer.index and entry.kept_rows:
                yield self._moved(entry.tensor, "leave", "give")

    def _part_lines(self, layer: Layer) -> Iterator[str]:
        """What computes the new part of a layer's output."""
        for call in layer.calls:
            yield from self._operand_lines(call, layer.node.output)
            if call.place:
                rows, columns = call.place.rows, call.place.columns
                place = f"{{{rows.start}, {rows.end}, {columns.start}, {columns.end}}}"
                yield f"part = qmcu_joined(part, (qmcu_region_t){place});"
            yield f"qmcu_{call.kernel}_part({', '.join((call.parameters, '&part', *_scratch(call, layer)))});"
            if call.place or call is layer.calls[-1]:
                yield f"TRACE_PART({layer.index}, &part);"
        if layer is self._tiled[-1] and self.patches.accumulates:
            yield from self._accumulate_lines(layer.node.output)

    def _enter(self, tensor: str) -> tuple[str, ...]:
        is_moved = moves(self.patches, self.patches.by_tensor[tensor])
        return (self._moved(tensor, "enter", "take"),) if is_moved else ()

    def _moved(self, tensor: str, alike: str, between_classes: str) -> str:
        """What moves rows of a map to where they are kept, or back: one function, or another where classes differ."""
        position = self._positions[tensor]
        if tensor in self._exchanged:
            return f"qmcu_{between_classes}(&patch, {position}, x{self._exchanged[tensor]:02d} + {CHOICE});"
        return f"qmcu_{alike}(&patch, {position});"

    @cached_property
    def _exchanged(self) -> dict[str, int]:
        """The maps whose kept rows are of another class than some patches, with the index of their layer."""
        return {layer.node.output: layer.index for layer in self.layers if layer.exchange}

    def _operand_lines(self, call: Call, output: str) -> Iterator[str]:
        """What sets ``part`` up for a call: from its first map, then the other operands."""
        maps = [operand for operand in call.operands if not isinstance(operand, Constant)]
        target = self._positions[output]
        source = self._positions[maps[0].name] if maps else target
        yield f"part = qmcu_part(&patch, {source}, {target});"
        for slot, operand in zip(("in", "other"), call.operands, strict=False):
            if isinstance(operand, Constant):
                yield f"part.{slot} = {_constant_source(operand)};"
            elif operand is not maps[0]:
                yield f"part.{slot} = qmcu_source(&patch, {self._positions[operand.name]});"

    def _accumulate_lines(self, tensor: str) -> Iterator[str]:
        call = self.layers[-1].calls[0]
        position = self._positions[tensor]
        width = f", {self.graph.tensors[tensor].shape[2]}" if call.kernel == "fully_connected" else ""
        yield f"part = qmcu_part(&patch, {position}, {position});"
        yield f"qmcu_{call.kernel}_add(&k{call.label}, &part{width}, {self._sums});"


def _constant_source(constant: Constant) -> str:
    """A constant operand: a map, or one pixel for all of the output."""
    height, width, channels = ((1, 1, 1) + constant.values.shape)[-3:]
    if height == width == 1:
        return f"qmcu_constant({constant.name})"
    return f"qmcu_whole_source((qmcu_shape_t){{{height}, {width}, {channels}, 8}}, {constant.name})"


def _span_rows(maps: Sequence[tuple[Span, ...]]) -> tuple[str, ...]:
    """Initialisers {first, start, end} of all maps, step by step, in lines; one map after another within a step."""
    lines: list[str] = []
    for step in zip(*maps, strict=True):
        text = ", ".join(f"{{{span.first}, {span.start}, {span.end}}}" for span in step) + ","
        lines += textwrap.wrap(text, _LINE - 4, break_on_hyphens=False)
    return tuple(lines)


def build_stages(
    graph: Graph,
    schedule: Schedule,
    memory: MemoryPlan,
    layers: Sequence[Layer],
    branches: Branches | None = None,
) -> tuple[WholeStage | Segment, ...]:
    """The stages in order."""
    stages: list[WholeStage | Segment] = []
    segments = 0
    for position, (stage, places) in enumerate(zip(schedule.stages, memory.stages, strict=True)):
        own = tuple(layers[stage.start : stage.end])
        if stage.patches is None:
            stages.append(WholeStage(own, _whole_statements(own, places)))
        else:
            classes = patch_classes(branches, schedule, position)
            stages.append(Segment(segments, graph, own, stage, places, classes))
            segments += 1
    return tuple(stages)


def build_moves(graph: Graph, schedule: Schedule, memory: MemoryPlan) -> tuple[Move | None, ...]:
    """Per stage, the move of the map that it begins with; None where it lies right."""
    moves: list[Move | None] = [None]
    for before, left, right in zip(schedule.stages, memory.stages, memory.stages[1:], strict=False):
        tensor = graph.nodes[before.end - 1].output
        assert tensor in right.offsets, "one map passes between two stages"
        source, target = address(left, tensor), address(right, tensor)
        moves.append(Move(source, target, graph.tensors[tensor].bytes) if source != target else None)
    return tuple(moves[: len(schedule.stages)])


def _whole_statements(layers: Sequence[Layer], memory: StageMemory) -> tuple[str, ...]:
    statements = [(layer, _layer_statements(layer, memory)) for layer in layers]
    width = max((len(lines[-1]) for _, lines in statements if lines), default=0)
    result: list[str] = []
    for layer, lines in statements:
        output = layer.node.output
        is_map = (layer.calls or output in memory.joined.values()) and output not in memory.pixel_bytes
        trace = f" TRACE({layer.index}, {address(memory, output)}, {layer.output_bytes});" if is_map else ""
        last = [f"{lines[-1]:<{width}}{trace}".rstrip()] if lines else [trace.lstrip()] if trace else []
        result += [*lines[:-1], *last]
    return tuple(result)


def _layer_statements(layer: Layer, memory: StageMemory) -> list[str]:
    """The calls of a layer."""
    if layer.node.output in memory.pixel_bytes:
        return _slice_statements(layer, memory)
    return [_statement(call, layer, memory) for call in layer.calls]


def _slice_statements(layer: Layer, memory: StageMemory) -> list[str]:
    """A call that writes some channels of a wider map."""
    (call,) = layer.calls
    (operand,) = call.operands
    struct = f"k{call.label}"
    places = f"{address(memory, operand.name)}, {struct}.out, {address(memory, layer.node.output)}"
    return [
        f"part = qmcu_slice({struct}.in, {places}, {memory.pixel_bytes[layer.node.output]});",
        f"qmcu_{call.kernel}_part({', '.join((f'&{struct}', '&part', *_scratch(call, layer)))});",
    ]


def _statement(call: Call, layer: Layer, memory: StageMemory) -> str:
    arguments = [f"&k{call.label}"]
    for operand in call.operands:
        arguments.append(operand.name if isinstance(operand, Constant) else address(memory, operand.name))
    arguments.append(address(memory, layer.node.output))
    return f"qmcu_{call.kernel}({', '.join((*arguments, *_scratch(call, layer)))});"


def _scratch(call: Call, layer: Layer) -> tuple[str, ...]:
    """The last argument of kernels that take scratch."""
    if call.scratch_bytes is None:
        return ()
    place = at(layer.scratch_offset) if call.scratch_bytes else "NULL"
    if call.scratchless:
        (number,) = call.scratchless
        place = f"{CHOICE} == {number} ? NULL : {place}"
    return (place,)
