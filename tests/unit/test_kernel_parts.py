"""Kernels on parts of maps against the Python integer reference, and the maps of a segment against a plain copy."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import pytest

from quantmcu_kit.ir.region import Region
from tests.ops.cases import as_int8
from tests.ops.test_halo import CASES as ON_MAPS
from tests.ops.test_op_contract import INTEGER, load, run
from tests.support.kernel_parts import Buffer, KernelParts, LayOut, has_sums, numbers, random_jobs

ROUNDS = 4
SUMMED = [case for case in INTEGER if has_sums(load(case))]
CASES = list(dict.fromkeys((*ON_MAPS, *SUMMED)))
SEGMENTS = 60


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> KernelParts:
    return KernelParts([load(case) for case in CASES], tmp_path_factory.mktemp("parts"))


def random_map(rng: np.random.Generator, size: tuple[int, int, int]) -> np.ndarray:
    return rng.integers(-128, 128, size).astype(np.int8)


@pytest.mark.parametrize("case", ON_MAPS, ids=str)
def test_parts_equal_the_whole(program, case):
    """A part reads nothing but its halo, writes nothing but its region, and writes what the whole has there."""
    graph = load(case)
    rng = np.random.default_rng(zlib.crc32(str(case).encode()))
    jobs, expected = [], []
    for pictures in zip(*(as_int8(values) for values in case.pictures(ROUNDS)), strict=True):
        whole = run(graph, [picture[None] for picture in pictures], integer=True)[0]
        more = random_jobs(graph, pictures, whole, rng)
        jobs += more[0]
        expected += more[1]
    for job, actual, after in zip(jobs, program.parts(CASES.index(case), jobs), expected, strict=True):
        np.testing.assert_array_equal(actual, after.block, err_msg=str(job[2]))


def as_map(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """A map with as many elements as an input: its own shape, or for a vector any."""
    if len(shape) == 4:
        return shape[1:]
    elements = int(np.prod(shape))
    height = int(rng.choice([n for n in range(1, elements + 1) if elements % n == 0]))
    width = int(rng.choice([n for n in range(1, elements // height + 1) if elements // height % n == 0]))
    return height, width, elements // (height * width)


@pytest.mark.parametrize("case", SUMMED, ids=str)
def test_sums_over_parts_equal_the_whole(program, case):
    graph = load(case)
    (node,) = graph.nodes
    index, sums = CASES.index(case), has_sums(graph)
    rng = np.random.default_rng(zlib.crc32(str(case).encode()))
    lay_out = LayOut(rng)
    (pictures,) = (as_int8(values) for values in case.pictures(ROUNDS))
    for picture in pictures:
        expected = run(graph, [picture[None]], integer=True).ravel()
        values = picture.reshape(as_map(rng, (1, *picture.shape)))
        jobs: list[tuple[Buffer, Region]] = []
        for region in rng.permutation(np.array(lay_out.split(values.shape[:2]), object)):
            jobs.append((lay_out.buffer(values.shape, region, wide=node.op != "FULLY_CONNECTED"), region))
            jobs[-1][0].put(region, values)
        actual = program.sum(index, sums, expected.size, values.shape[1], jobs)
        np.testing.assert_array_equal(actual, expected)


@dataclass(frozen=True)
class Spans:
    """Rows (or columns) of a map, step by step: the first that is held, the first new one, the end."""

    steps: tuple[tuple[int, int, int], ...]

    @staticmethod
    def random(rng: np.random.Generator, length: int, count: int, *, keep: bool) -> Spans:
        """Intervals that move on, overlap, leave gaps or are empty; with ``keep`` nothing is new twice."""
        starts = np.sort(rng.integers(0, length, count))
        ends = np.maximum.accumulate(np.minimum(starts + rng.integers(1, length + 1, count), length))
        is_empty = rng.random(count) < 0.2
        steps: list[tuple[int, int, int]] = []
        before = 0  # end of what is there
        for index in range(count):
            later = [int(starts[i]) for i in range(index, count) if not is_empty[i]]
            first = later[0] if later else length
            if is_empty[index]:
                steps.append((first, before, before) if keep else (first, first, first))
                continue
            end = int(ends[index])
            start = min(max(first, before), end) if keep else first
            steps.append((first, start, end))
            before = max(before, end)
        return Spans(tuple(steps))

    @property
    def held(self) -> int:
        """The most that is held in a step."""
        return max(1, *(end - first for first, _, end in self.steps))

    @property
    def kept(self) -> int:
        """The most that goes from a step to the next."""
        return max(0, *(end - first for (_, _, end), (first, _, _) in zip(self.steps, self.steps[1:], strict=False)), 0)


@pytest.mark.parametrize("keep", ["nothing", "rows", "rows and columns"])
def test_patches_hold_what_they_need(program, keep):
    """After a map's new part is written, its tile holds all that the patch needs, wherever that came from."""
    rng = np.random.default_rng(len(keep))
    for _ in range(SEGMENTS):
        rows_count, columns_count, maps = (int(n) for n in rng.integers(1, [5, 5, 4]))
        head, values, spans, used, offset = [], [], [], [], int(rng.integers(0, 9))
        for _ in range(maps):
            height, width, channels = (int(n) for n in rng.integers(1, [20, 20, 6]))
            rows = Spans.random(rng, height, rows_count, keep=keep != "nothing")
            columns = Spans.random(rng, width, columns_count, keep=keep == "rows and columns")
            tile_rows, tile_columns = (int(each.held + rng.integers(0, 2)) for each in (rows, columns))
            kept_rows = int(rows.kept + rng.integers(0, 2)) if keep != "nothing" and columns_count > 1 else 0
            tile, kept = offset, offset + tile_rows * tile_columns * channels
            end = kept + kept_rows * width * channels
            used.append((tile, end))
            offset = end + int(rng.integers(0, 9))
            head += [tile, kept, tile_rows, tile_columns, width, channels, kept_rows]
            values.append(random_map(rng, (height, width, channels)))
            spans.append((rows, columns))
        flat = [
            number
            for axis, count in enumerate((rows_count, columns_count))
            for step in range(count)
            for pair in spans
            for number in pair[axis].steps[step]
        ]
        stream = numbers(offset, maps, rows_count, columns_count, keep == "rows and columns", *head, *flat)
        stream += b"".join(numbers(value.size) + value.tobytes() for value in values)
        expected = [
            value[rows.steps[i][0] : rows.steps[i][2], columns.steps[j][0] : columns.steps[j][2]].ravel()
            for i in range(rows_count)
            for j in range(columns_count)
            for value, (rows, columns) in zip(values, spans, strict=True)
        ]
        held, arena = np.split(program.patches(stream), [sum(map(len, expected))])
        np.testing.assert_array_equal(held, np.concatenate(expected), err_msg=str(spans))
        untouched = np.ones(offset, bool)
        for start, end in used:
            untouched[start:end] = False
        assert arena.size == offset and (arena[untouched] == 0x5A).all()
