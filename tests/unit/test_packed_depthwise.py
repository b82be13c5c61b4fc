"""Depthwise convolutions in strips: their scratch, and legacy weights with a zero-point on packed maps."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from quantmcu_kit.emit.runtime_files import needed_files
from quantmcu_kit.ir.types import Quant
from quantmcu_kit.ops.interpret import Interpreter, scratch_bytes
from tests.ops import cases_packed_weighted
from tests.ops.packed_case import PackedCase
from tests.support.c_program import CProgram

DEPTHWISE = [case for case in cases_packed_weighted.CASES if case.graph.nodes[0].op == "DEPTHWISE_CONV_2D"]


def large(widths: str) -> PackedCase:
    """8x8 pixels of 48 channels, kernel 3x3, stride 1."""
    return next(case for case in cases_packed_weighted.LARGE if case.name == f"48-{widths}" and "dep" in str(case))


@pytest.mark.parametrize(
    ("widths", "expected"),
    [
        ("8-8-4", 0),
        ("4-8-8", 3 * 10 * 32),  # 10 columns are seen by 8 outputs: 3 rows of 32 channels take 960 of 1024 bytes
        ("8-4-8", 3 * 10 * 32 + 9 * 32),
        ("4-4-4", 3 * 10 * 32 + 9 * 32),
    ],
)
def test_scratch_is_a_strip_and_the_weights_of_a_block(widths, expected):
    graph = large(widths).graph
    assert scratch_bytes(graph, graph.nodes[0]) == expected


def test_libraries_of_8_bits_do_not_carry_what_packs():
    assert not [path for path in needed_files(["depthwise_conv_2d"]) if "pack" in path]
    assert [path for path in needed_files(["depthwise_conv_2d"], has_packed=True) if path.endswith("pack_ref.c")]


def with_zero_point(case: PackedCase) -> PackedCase:
    """The same with weights of one scale and a zero-point, as models with uint8 have them."""
    weights = case.graph.tensors["w"]
    scale = np.full(1, 0.01, np.float32)
    bias = case.graph.tensors["b"]
    tensors = {
        **case.graph.tensors,
        "w": dataclasses.replace(weights, quant=Quant(scale, np.full(1, -9, np.int32), None)),
        "b": dataclasses.replace(bias, quant=Quant.per_tensor(float(scale[0]) * 0.05, 0)),
    }
    return PackedCase(f"{case.name}-zero", dataclasses.replace(case.graph, tensors=tensors))


def test_weights_with_a_zero_point(tmp_path):
    cases = [with_zero_point(case) for case in DEPTHWISE if case.graph.tensors["w"].dtype.bits == 8]
    assert any(case.graph.tensors["x"].dtype.is_packed for case in cases)
    program = CProgram([case.graph for case in cases], tmp_path)
    for index, case in enumerate(cases):
        pictures = case.pictures(3)
        expected = Interpreter(case.graph, integer=True).run({"x": pictures[0]})["y"]
        np.testing.assert_array_equal(program.run(index, pictures), expected, err_msg=str(case))
