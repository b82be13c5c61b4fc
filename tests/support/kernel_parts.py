"""Kernels on parts of maps, in memory that a test lays out; compiled once, with sanitizers where there are any."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from quantmcu_kit import memory
from quantmcu_kit.emit.constants import Constant, ConstantPool
from quantmcu_kit.emit.layers import Call, build_layers
from quantmcu_kit.emit.runtime_files import needed_files
from quantmcu_kit.host_compiler import find_compiler, sanitizer_flags, sanitizers
from quantmcu_kit.ir.graph import Graph, Node
from quantmcu_kit.ir.region import Interval, Region
from quantmcu_kit.ir.schedule import Schedule
from quantmcu_kit.ir.types import DType
from quantmcu_kit.ops.halo import map_size
from quantmcu_kit.ops.table import TABLE
from tests.support.packed_maps import run_bytes, stored, without_rubbish

_DRIVER = Path(__file__).with_suffix(".c")
_TIMEOUT = 60  # seconds for one run
_TYPE = """
typedef struct {
    void (*run)(const qmcu_source_t *in, const qmcu_target_t *out, qmcu_region_t region, int8_t *scratch);
    void (*add)(const qmcu_part_t *part, int32_t width, int32_t *sum);
    void (*end)(int32_t *sum, int8_t *out);
    int32_t scratch_bytes;
} case_t;
"""


@dataclass(frozen=True, eq=False)
class Buffer:
    """A view in a block of memory of its own.

    Attributes:
        block: int8, what the memory holds; empty for a target in the memory of the first source.
        offset: of the view's data in the block.
        row_bytes, pixel_bytes, top, left, rows, channels: as in ``qmcu_target_t``.
        dtype: of the map.
    """

    block: np.ndarray
    offset: int
    row_bytes: int
    pixel_bytes: int
    top: int
    left: int
    rows: int
    channels: int
    dtype: DType = DType.I8

    def index(self, y: int, x: int) -> int:
        """Where the pixel (y, x) of the map lies in the block."""
        return self.offset + (y - self.top) % self.rows * self.row_bytes + (x - self.left) * self.pixel_bytes

    def put(self, region: Region, values: np.ndarray) -> None:
        """Write a region of a map [h, w, channels]."""
        for y in range(region.rows.start, region.rows.end):
            for x in range(region.columns.start, region.columns.end):
                pixel = stored(values[y, x], self.dtype)
                start = self.index(y, x)
                self.block[start : start + pixel.size] = pixel

    def without_rubbish(self, region: Region) -> np.ndarray:
        """The memory with zeros where no channel of the region's pixels is."""
        result, size = self.block.copy(), run_bytes(self.channels, self.dtype)
        for y in range(region.rows.start, region.rows.end):
            for x in range(region.columns.start, region.columns.end):
                start = self.index(y, x)
                pixel = result[start : start + size]
                pixel[:] = without_rubbish(pixel, self.dtype, self.channels)
        return result

    @property
    def bytes(self) -> bytes:
        """The buffer as the driver reads it."""
        view = (self.offset, self.row_bytes, self.pixel_bytes, self.top, self.left, self.rows, self.channels)
        return numbers(self.block.size, *view) + self.block.tobytes()


def numbers(*values: int) -> bytes:
    """int32 numbers as the driver reads them."""
    return np.array(values, np.int32).tobytes()


def region_bytes(region: Region) -> bytes:
    """A region as the driver reads it."""
    return numbers(region.rows.start, region.rows.end, region.columns.start, region.columns.end)


class LayOut:
    """Random memory for regions of maps.

    Args:
        rng: decides everything.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def buffer(
        self, size: tuple[int, int, int], region: Region, dtype: DType = DType.I8, *, wide: bool = True
    ) -> Buffer:
        """Rubbish, with room for a region of a map [h, w, channels]: all of the map, a tile or a ring of rows.

        Args:
            dtype: of the map.
            wide: pixels may be some channels of a wider map.
        """
        height, width, channels = size
        before, after = (int(n) for n in self._rng.integers(0, 4, 2)) if wide and self._rng.random() < 0.3 else (0, 0)
        pixel_bytes = before + run_bytes(channels, dtype) + after
        kind = self._rng.choice(["whole", "tile", "larger tile", "ring"])
        if kind == "whole":
            rows, columns = Interval(0, height), Interval(0, width)
        elif kind == "tile":
            rows, columns = region.rows, region.columns
        else:
            rows, columns = self._grown(region.rows, height), self._grown(region.columns, width)
        gap = int(self._rng.integers(0, 6)) if kind == "larger tile" else 0
        row_bytes = columns.size * pixel_bytes + gap
        turn = int(self._rng.integers(0, max(rows.size, 1))) if kind == "ring" else 0
        block = self._rng.integers(-128, 128, max(rows.size * row_bytes - gap, 1)).astype(np.int8)
        top, count = rows.start - turn, max(rows.size, 1)
        return Buffer(block, before, row_bytes, pixel_bytes, top, columns.start, count, channels, dtype)

    def _grown(self, interval: Interval, limit: int) -> Interval:
        before, after = (int(n) for n in self._rng.integers(0, 3, 2))
        return Interval(interval.start - before, interval.end + after).clipped(limit)

    def split(self, size: tuple[int, int]) -> list[Region]:
        """Regions that cover a map [h, w], in random sizes, and an empty one."""
        rows, columns = (self._intervals(length) for length in size)
        empty = Region(Interval(rows[0].end, rows[0].end), columns[0])
        return [Region(row, column) for row in rows for column in columns] + [empty]

    def _intervals(self, length: int) -> list[Interval]:
        cuts = sorted({0, length, *(int(cut) for cut in self._rng.integers(0, length + 1, 2))})
        return [Interval(start, end) for start, end in zip(cuts, cuts[1:], strict=False)]


Job = tuple[Sequence[Buffer], Buffer, Region]  # sources, target, region of the output
_NOTHING = np.zeros(0, np.int8)


def random_jobs(
    graph: Graph, pictures: Sequence[np.ndarray], whole: np.ndarray, rng: np.random.Generator
) -> tuple[list[Job], list[Buffer]]:
    """A node's output [h, w, channels] in parts, in random memory; and the targets as they must be afterwards.

    Args:
        pictures: the maps that it reads, [h, w, channels] each.
    """
    (node,) = graph.nodes
    spec, inputs, output = TABLE[node.op], graph.input_tensors(node), graph.tensors[node.output]
    maps = [graph.tensors[port.tensor] for port in graph.inputs]
    lay_out = LayOut(rng)
    jobs, expected = [], []
    for region in lay_out.split(whole.shape[:2]):
        halos = spec.halo(node.attrs, inputs, output, region)
        halo_of = {tensor.name: halo for tensor, halo in zip(inputs, halos, strict=True) if tensor is not None}
        sources = []
        for tensor, picture in zip(maps, pictures, strict=True):
            needed = halo_of[tensor.name].clipped(map_size(tensor))
            there = needed if region.pixels else region.clipped(needed.size)
            sources.append(lay_out.buffer(picture.shape, there, tensor.dtype))
            if region.pixels:
                sources[-1].put(needed, picture)
        target = lay_out.buffer(whole.shape, region, output.dtype)
        is_alike = pictures[0].shape == whole.shape and maps[0].dtype is output.dtype
        if spec.in_place and is_alike and rng.random() < 0.3:
            target = replace(sources[0], block=_NOTHING)
        jobs.append((sources, target, region))
        after = target if target.block.size else sources[0]
        after = replace(after, block=after.block.copy())
        after.put(region, whole)
        expected.append(after)
    return jobs, expected


class KernelParts:
    """One-node graphs as cases of one program.

    Args:
        graphs: integer graphs; methods take an index into them.
        folder: where to build.
    """

    def __init__(self, graphs: Sequence[Graph], folder: Path) -> None:
        self._program = folder / "kernel_parts.exe"
        has_packed = any(tensor.dtype.is_packed for graph in graphs for tensor in graph.tensors.values())
        sources = needed_files({*_kernels(graphs)}, has_patches=True, has_packed=has_packed)
        for path, text in sources.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        includes = [path for path in sources if path.endswith(".h") and "/kernels/" in path]
        head = "".join(f'#include "{path}"\n' for path in (*includes, "quantmcu/core/patch.h"))
        bodies, rows = zip(*(_case(graph, index) for index, graph in enumerate(graphs)), strict=True)
        table = "static const case_t cases[] = {\n" + "".join(rows) + "};\n"
        (folder / "cases.h").write_text(head + _TYPE + "".join(bodies) + table)
        compiler = find_compiler()
        flags = ["-std=c99", "-O0", "-g1", "-I", str(folder), f"-DQMCU_PACKED={has_packed:d}"]
        flags += sanitizer_flags(sanitizers(compiler))
        compiler.compile([_DRIVER, *sorted(folder.rglob("quantmcu/**/*.c"))], flags, self._program)

    def parts(self, index: int, jobs: Sequence[Job]) -> list[np.ndarray]:
        """The target's memory, int8, after each job."""
        stream = b"".join(
            numbers(len(sources)) + b"".join(source.bytes for source in sources) + target.bytes + region_bytes(region)
            for sources, target, region in jobs
        )
        memories = [target.block if target.block.size else sources[0].block for sources, target, _ in jobs]
        output = np.frombuffer(self._run(stream, "part", str(index)), np.int8)
        ends = np.cumsum([memory.size for memory in memories])
        assert output.size == ends[-1]
        return np.split(output, ends[:-1])

    def sum(
        self, index: int, sums: int, out_bytes: int, width: int, jobs: Sequence[tuple[Buffer, Region]]
    ) -> np.ndarray:
        """int8 [out_bytes], added up from regions of an input that is ``width`` pixels wide."""
        head = numbers(sums, out_bytes, width, len(jobs))
        stream = head + b"".join(source.bytes + region_bytes(region) for source, region in jobs)
        return np.frombuffer(self._run(stream, "sum", str(index)), np.int8)

    def patches(self, stream: bytes) -> np.ndarray:
        """int8 output of the driver's patches for its input."""
        return np.frombuffer(self._run(stream, "patch"), np.int8)

    def _run(self, stream: bytes, *arguments: str) -> bytes:
        result = subprocess.run([self._program, *arguments], input=stream, capture_output=True, timeout=_TIMEOUT)
        assert result.returncode == 0, result.stderr.decode(errors="replace")[:2000]
        return result.stdout


def _calls(graph: Graph, pool: ConstantPool) -> tuple[Call, ...]:
    (layer,) = build_layers(graph, Schedule.whole(graph), memory.plan(graph), pool)
    return layer.calls


def _kernels(graphs: Sequence[Graph]) -> set[str]:
    return {call.kernel for graph in graphs for call in _calls(graph, ConstantPool("n"))}


def _case(graph: Graph, index: int) -> tuple[str, str]:
    """Constants and functions of a case in C, and its row of the table."""
    pool = ConstantPool(f"n{index}")
    calls = _calls(graph, pool)
    (node,) = graph.nodes
    constants = "".join(f"static const {entry.declaration} = {{\n{entry.text}\n}};\n" for entry in pool.constants)
    structs = "".join(call.struct.replace(f"k{call.label}", f"k{index}_{call.label}") + "\n" for call in calls)
    scratch = max((call.scratch_bytes or 0 for call in calls), default=0)
    if TABLE[node.op].halo is None or len(graph.inputs) == 0:
        run = "NULL"
        functions = ""
    else:
        run = f"run_{index}"
        functions = _run_function(graph, node, calls, index)
    add, end = "NULL", "NULL"
    if has_sums(graph):
        add, end = f"add_{index}", f"end_{index}"
        functions += _sum_functions(calls[0], index)
    return constants + structs + functions, f"    {{{run}, {add}, {end}, {scratch}}},\n"


def has_sums(graph: Graph) -> int:
    """How many sums hold the node's output, 0 where it cannot be added up."""
    (node,) = graph.nodes
    sums = TABLE[node.op].sums
    return sums(node.attrs, graph.input_tensors(node), graph.tensors[node.output]) if sums else 0


def _run_function(graph: Graph, node: Node, calls: Sequence[Call], index: int) -> str:
    positions = {port.tensor: position for position, port in enumerate(graph.inputs)}
    places = _places(graph, node)
    lines = []
    for position, call in enumerate(calls):
        slots = []
        for operand in call.operands:
            if isinstance(operand, Constant):
                slots.append(_constant_source(graph, node, operand))
            else:
                slots.append(f"in[{positions[operand.name]}]")
        lines.append(f"    part = (qmcu_part_t){{region, {slots[0]}, {slots[-1]}, *out}};")
        if places:
            lines.append(f"    part = qmcu_joined(part, (qmcu_region_t){places[position]});")
        argument = "" if call.scratch_bytes is None else ", scratch" if call.scratch_bytes else ", NULL"
        lines.append(f"    qmcu_{call.kernel}_part(&k{index}_{call.label}, &part{argument});")
    head = f"static void run_{index}(const qmcu_source_t *in, const qmcu_target_t *out, qmcu_region_t region, "
    body = "\n".join(["    qmcu_part_t part;", "    (void)in;", "    (void)scratch;", *lines])
    return f"{head}int8_t *scratch)\n{{\n{body}\n}}\n"


def _constant_source(graph: Graph, node: Node, constant: Constant) -> str:
    """A constant as a source: a map, or one pixel for all of it."""
    shape = constant.values.shape
    if len(shape) == 4 and shape[1:3] != (1, 1):
        size = ", ".join(map(str, shape[1:]))
        return f"qmcu_whole_source((qmcu_shape_t){{{size}, 8}}, {constant.name})"
    return f"qmcu_constant({constant.name})"


def _places(graph: Graph, node: Node) -> list[str]:
    """Where the inputs of a concatenation along rows or columns lie in its output; empty for everything else."""
    axis = getattr(node.attrs, "axis", None)
    if node.op != "CONCATENATION" or axis == 3:
        return []
    places, start = [], 0
    for tensor in graph.input_tensors(node):
        _, height, width, _ = tensor.shape
        end = start + tensor.shape[axis]
        places.append(f"{{{start}, {end}, 0, {width}}}" if axis == 1 else f"{{0, {height}, {start}, {end}}}")
        start = end
    return places


def _sum_functions(call: Call, index: int) -> str:
    label = f"k{index}_{call.label}"
    width = "width, " if call.kernel == "fully_connected" else ""
    return (
        f"static void add_{index}(const qmcu_part_t *part, int32_t width, int32_t *sum)\n"
        f"{{\n    (void)width;\n    qmcu_{call.kernel}_add(&{label}, part, {width}sum);\n}}\n"
        f"static void end_{index}(int32_t *sum, int8_t *out)\n"
        f"{{\n    qmcu_{call.kernel}_end(&{label}, sum, out);\n}}\n"
    )
