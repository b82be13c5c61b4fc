"""Halo rules against the operators themselves: what lies outside a halo never matters, what lies at its edge does."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from quantmcu_kit.ir.region import Interval, Region
from quantmcu_kit.ops.halo import map_size
from quantmcu_kit.ops.table import TABLE
from tests.ops.cases import Case, as_int8
from tests.ops.test_op_contract import INTEGER, load, run

TRIALS = 6
WITHOUT_HALO = {
    "DEQUANTIZE",
    "FULLY_CONNECTED",
    "MEAN",
    "PACK",
    "RESHAPE",
    "SHAPE",
    "SQUEEZE",
    "STRIDED_SLICE",
    "TRANSPOSE",
}
# Of these, few values of the input show in the output, or a halo that is cut at the border begins between two taps.
NOT_TIGHT = {"much-narrower", "extreme-zero-points", "dilation2"}


def is_on_maps(case: Case) -> bool:
    shapes = [tensor.shape for tensor in (*case.maps, case.output)]
    return TABLE[case.op].halo is not None and all(len(shape) == 4 for shape in shapes)


CASES = [case for case in INTEGER if is_on_maps(case)]


def interval(rng: np.random.Generator, size: int) -> Interval:
    start = int(rng.integers(0, size))
    return Interval(start, int(rng.integers(start + 1, size + 1)))


def trials(case: Case):
    """Some regions of the output and the halo of each input, clipped to the input."""
    graph = load(case)
    (node,) = graph.nodes
    rng = np.random.default_rng(zlib.crc32(str(case).encode()))
    inputs, output = graph.input_tensors(node), graph.tensors[node.output]
    size = map_size(output)
    for _ in range(TRIALS):
        region = Region(interval(rng, size.h), interval(rng, size.w))
        halos = TABLE[node.op].halo(node.attrs, inputs, output, region)
        assert len(halos) == len(inputs)
        maps = [graph.tensors[port.tensor] for port in graph.inputs]
        by_name = {tensor.name: halo for tensor, halo in zip(inputs, halos, strict=True) if tensor is not None}
        yield graph, region, [by_name[tensor.name].clipped(map_size(tensor)) for tensor in maps], rng


def cut(values: np.ndarray, region: Region) -> np.ndarray:
    """The region of a batch of maps."""
    return values[:, region.rows.start : region.rows.end, region.columns.start : region.columns.end]


def test_every_operator_has_a_halo_or_none_on_purpose():
    assert {name for name, spec in TABLE.items() if spec.halo is None} == WITHOUT_HALO
    assert {case.op for case in CASES} == set(TABLE) - WITHOUT_HALO


@pytest.mark.parametrize("case", CASES, ids=str)
def test_nothing_outside_the_halo_matters(case):
    for graph, region, halos, rng in trials(case):
        pictures = [as_int8(values) for values in case.pictures(8)]
        changed = []
        for values, halo in zip(pictures, halos, strict=True):
            other = rng.integers(-128, 128, values.shape).astype(np.int8)
            cut(other, halo)[:] = cut(values, halo)
            changed.append(other)
        before, after = (run(graph, inputs, integer=True) for inputs in (pictures, changed))
        np.testing.assert_array_equal(cut(before, region), cut(after, region))


@pytest.mark.parametrize("case", [case for case in CASES if case.name not in NOT_TIGHT], ids=str)
def test_the_halo_is_no_larger_than_needed(case):
    """Where the first and the last row and column of a halo are all that changes, the region changes too.

    A stride beyond the window may skip what lies between windows, never the edges of the halo.
    """
    for graph, region, halos, rng in trials(case):
        for index, halo in enumerate(halos):
            if not halo.pixels:
                continue
            rows, columns = halo.rows, halo.columns
            edges = (
                Region(Interval(rows.start, rows.start + 1), columns),
                Region(Interval(rows.end - 1, rows.end), columns),
                Region(rows, Interval(columns.start, columns.start + 1)),
                Region(rows, Interval(columns.end - 1, columns.end)),
            )
            for edge in edges:
                assert matters(case, graph, region, index, edge, rng), (region, halo, edge)


def matters(case, graph, region, index, edge, rng) -> bool:
    """Whether any of a few random changes at ``edge`` of input ``index`` changes the region of the output."""
    pictures = [as_int8(values) for values in case.pictures(64)]
    # Quiet maps, so that neither a maximum elsewhere nor a clamp hides the change.
    quiet = [np.full_like(values, rng.integers(-90, 0)) for values in pictures]
    for inputs in (pictures, quiet):
        changed = [values.copy() for values in inputs]
        part = cut(changed[index], edge)
        part[:] = rng.integers(-128, 128, part.shape)
        before, after = (run(graph, each, integer=True) for each in (inputs, changed))
        if not np.array_equal(cut(before, region), cut(after, region)):
            return True
    return False
