"""Planned stretches -> the schedule that memory and code are made from."""

from __future__ import annotations

from collections.abc import Sequence

from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.schedule import Grid, HaloMode, PatchedMap, Patches, Schedule, Span, Stage
from quantmcu_kit.ir.types import Size
from quantmcu_kit.ops.halo import map_size
from quantmcu_kit.patch.extent import Extent, columns_of, rows_of
from quantmcu_kit.patch.memory import junction_bytes, kept_rows, stays
from quantmcu_kit.patch.plan import Plan
from quantmcu_kit.patch.segment import Segment


def lay_out(graph: Graph, plan: Plan) -> Schedule:
    """The schedule of a plan; neighbouring stretches that run layer by layer become one stage."""
    stages: list[Stage] = []
    for stretch in plan.stretches:
        piece = stretch.segment
        if stretch.grid is not None:
            is_pulled = plan.pulls_input and piece.start == 0
            patches = lay_out_segment(graph, piece, stretch.grid, stretch.mode, is_pulled=is_pulled)
            stages.append(Stage(piece.start, piece.end, patches))
        elif stages and stages[-1].patches is None:
            stages[-1] = Stage(stages[-1].start, piece.end, None)
        else:
            stages.append(Stage(piece.start, piece.end, None))
    return Schedule(tuple(stages))


def lay_out_segment(graph: Graph, piece: Segment, grid: Grid, mode: HaloMode, *, is_pulled: bool) -> Patches:
    """One segment in patches."""
    rows = rows_of(graph, piece, grid.rows, keep=mode.keeps_rows)
    columns = columns_of(graph, piece, grid.columns, keep=mode.keeps_columns)
    nodes = piece.nodes(graph)
    writers = {node.output: piece.start + index for index, node in enumerate(nodes)} | {piece.input: piece.start}
    readers = {name: piece.start + index for index, node in enumerate(nodes) for name in graph.activation_inputs(node)}
    if piece.tail:
        readers[piece.cut_map(graph)] = piece.end - 1
    whole = {piece.output} | (set() if is_pulled else {piece.input})
    maps = []
    for name in (piece.input, *(node.output for node in nodes)):
        of_rows, of_columns = rows[name], columns[name]
        is_whole = name in whole
        needed = Size(of_rows.needed, of_columns.needed)
        maps.append(
            PatchedMap(
                tensor=name,
                rows=_spans(of_rows, is_whole),
                columns=_spans(of_columns, is_whole),
                needed=needed,
                held=map_size(graph.tensors[name]) if is_whole else needed,
                kept_rows=0 if is_whole else kept_rows(of_rows, of_columns),
                stays=is_whole or stays(of_rows, of_columns),
                first_node=writers[name],
                last_node=readers.get(name, piece.end - 1),
            )
        )
    return Patches(
        grid=grid,
        mode=mode,
        input=piece.input,
        output=piece.output,
        maps=tuple(maps),
        pulls_input=is_pulled,
        junction_bytes=junction_bytes(graph, piece, rows, columns, is_pulled),
        accumulates=piece.tail > 0,
    )


def _spans(extent: Extent, is_whole: bool) -> tuple[Span, ...]:
    """A span per step. What a step does not need keeps its place: its ``first`` is that of the next step that does."""
    spans: list[Span] = []
    later = None  # where the next step that needs anything begins
    pairs: Sequence = tuple(zip(extent.steps, extent.fresh, strict=True))
    for needed, fresh in reversed(pairs):
        if needed.size:
            later = needed.start
            end = fresh.end if fresh.size else needed.end
            spans.append(Span(needed.start, fresh.start if fresh.size else end, end))
        else:
            spans.append(Span(-1 if later is None else later, -1, -1))
    done = 0
    result = []
    for span in reversed(spans):
        if span.end < 0:  # nothing is needed: nothing is new
            span = Span(done if span.first < 0 else span.first, done, done)
        done = span.end
        result.append(Span(0, span.start, span.end) if is_whole else span)
    return tuple(result)
