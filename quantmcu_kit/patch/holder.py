"""Which layer holds a plan's RAM, and what lies there while it runs."""

from __future__ import annotations

from dataclasses import dataclass

from quantmcu_kit.patch.extent import columns_of, rows_of
from quantmcu_kit.patch.memory import aligned, kept_rows, stays
from quantmcu_kit.patch.plan import Plan, Stretch
from quantmcu_kit.patch.segment import tail_bytes
from quantmcu_kit.patch.ways import Problem


@dataclass(frozen=True)
class Holder:
    """The layer during which most RAM is taken.

    Attributes:
        index, name, op: of the node.
        blocks: what lies in the arena, and its bytes, the largest first.
    """

    index: int
    name: str
    op: str
    blocks: tuple[tuple[str, int], ...]

    @property
    def layer(self) -> str:
        """The layer, for people."""
        return f"layer {self.index:02d} {self.op} {self.name!r}"

    @property
    def contents(self) -> str:
        """What there is, for people."""
        return "while it runs, there are " + ", ".join(f"{name} ({size:,} B)" for name, size in self.blocks)


def holder_of(problem: Problem, plan: Plan) -> Holder:
    """The first of the hungriest layers of a plan."""
    stretch = max(plan.stretches, key=lambda each: each.ram_bytes)
    index, blocks = _patched(problem, stretch, plan) if stretch.grid else _whole(problem, stretch)
    node = problem.graph.nodes[index]
    ordered = sorted(((name, size) for name, size in blocks if size), key=lambda block: -block[1])
    return Holder(index, node.name, node.op, tuple(ordered))


def _whole(problem: Problem, stretch: Stretch) -> tuple[int, list[tuple[str, int]]]:
    graph, piece = problem.graph, stretch.segment
    index = max(range(piece.start, piece.end), key=lambda step: problem.whole[step])
    node = graph.nodes[index]
    names = dict.fromkeys((*graph.activation_inputs(node), node.output))
    blocks = [(f"map {name}", graph.tensors[name].bytes) for name in names]
    read_later = {name for later in graph.nodes[index + 1 :] for name in graph.activation_inputs(later)}
    for tensor in graph.feature_maps():
        producer = graph.producer(tensor.name)
        is_earlier = producer is None or producer in graph.nodes[:index]
        if is_earlier and tensor.name not in names and (tensor.name in read_later or graph.is_output(tensor.name)):
            blocks.append((f"map {tensor.name}", tensor.bytes))
    return index, [*blocks, ("scratch", problem.scratch.get(node.name, 0))]


def _patched(problem: Problem, stretch: Stretch, plan: Plan) -> tuple[int, list[tuple[str, int]]]:
    graph, piece = problem.graph, stretch.segment
    nodes = piece.nodes(graph)
    rows = rows_of(graph, piece, stretch.grid.rows, keep=stretch.mode.keeps_rows)
    columns = columns_of(graph, piece, stretch.grid.columns, keep=stretch.mode.keeps_columns)
    is_pulled = plan.pulls_input and piece.start == 0
    inner = [piece.input] if is_pulled else []
    inner += [node.output for node in nodes if node.output != piece.output]
    lasting = [("sums", aligned(tail_bytes(graph, piece)))]
    passing: dict[str, int] = {}
    for name in inner:
        width, pixel_bytes = graph.tensors[name].shape[2], graph.tensors[name].pixel_bytes
        tile = aligned(rows[name].needed * columns[name].needed * pixel_bytes)
        lasting.append((f"kept rows of {name}", aligned(kept_rows(rows[name], columns[name]) * width * pixel_bytes)))
        if stays(rows[name], columns[name]):
            lasting.append((f"tile of {name}", tile))
        else:
            passing[name] = tile
    writers = {node.output: step for step, node in enumerate(nodes)} | {piece.input: 0}
    there: list[list[tuple[str, int]]] = []
    for step, node in enumerate(nodes):
        alive = [
            (f"tile of {name}", size)
            for name, size in passing.items()
            if writers[name] <= step <= problem.readers.get(name, piece.end) - piece.start
        ]
        there.append([*alive, ("scratch", aligned(problem.scratch.get(node.name, 0)))])
    step = max(range(len(nodes)), key=lambda each: sum(size for _, size in there[each]))
    ends = stretch.ram_bytes - sum(size for _, size in (*lasting, *there[step]))
    names = piece.output if is_pulled else f"{piece.input} and {piece.output}"
    return piece.start + step, [(f"map {names}" if is_pulled else f"maps {names}", ends), *lasting, *there[step]]
