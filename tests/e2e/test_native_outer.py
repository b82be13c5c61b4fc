"""Kernels below 8 bits on an emulated Cortex-M4: primitives against references, whole kernels against integers."""

from __future__ import annotations

import numpy as np
import pytest

from quantmcu_kit.ops.interpret import Interpreter
from tests.e2e.outer_programs import FIELDS, SUMS, TILES, WORDS
from tests.e2e.test_packed_kernels_on_a_board import inputs_of, run_on_board, side_by_side
from tests.support.primitive_programs import FLOAT_ABIS, compared
from tests.unit import test_conv_outer, test_fully_connected_fields

EVERY = 7  # case of the list that the host runs
# Name: the program's body, the files that it needs, and how often it compares.
PROGRAMS = {
    "tiles": (
        TILES,
        (
            "primitives/outer_tile_ref",
            "native/cortexm_dsp/outer_tile_i4",
            "native/cortexm_dsp/outer_tile_i2",
            "native/cortexm_dsp/outer_tile_i2x4",
        ),
        7 * 3 * 2 * 4 * 12 * 2,
    ),
    "words": (WORDS, ("primitives/outer_words_ref", "native/cortexm_dsp/outer_words"), 9 * 4 * 2 * 5),
    "sums": (SUMS, ("primitives/outer_sums_ref", "native/cortexm_dsp/outer_sums"), 5 * 4 * 2 * 4),
    "fields": (
        FIELDS,
        ("primitives/field_rows_ref", "native/cortexm_dsp/field_rows_i4", "native/cortexm_dsp/field_words"),
        5 * 3 * 7 + 20 * 4 * 2,
    ),
}


@pytest.mark.parametrize("float_abi", FLOAT_ABIS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_primitives_equal_their_references(name, float_abi, tmp_path):
    """Every number of units about those of a block, groups, ways to finish, places of pixels in memory.

    Nothing is written beside outputs and words. Without registers of the FPU, the end of the words is on the stack.
    """
    body, files, comparisons = PROGRAMS[name]
    assert compared(body, files, tmp_path, FLOAT_ABIS[float_abi]) == (comparisons, 0)


ALL = (*test_conv_outer.CASES, *test_fully_connected_fields.CASES)
CASES = [case for case in ALL if case.graph.outputs[0].shape[0] == 1][::EVERY]


def test_kernels_equal_integers_on_a_board(tmp_path):
    graph = side_by_side(CASES)
    inputs = inputs_of(graph)
    run = run_on_board(graph, inputs, tmp_path)
    named = {port.tensor: values for port, values in zip(graph.inputs, inputs, strict=True)}
    expected = Interpreter(graph, integer=True).run(named)
    for port, actual in zip(graph.outputs, run.outputs, strict=True):
        np.testing.assert_array_equal(actual, expected[port.tensor], err_msg=port.tensor)
    ours = {name.partition("qmcu_")[2] for name, _ in run.functions if name.endswith("__dsp")}
    primitives = {
        "outer_tile_i4",
        "outer_tile_i2",
        "outer_sums",
        "outer_bytes",
        "field_rows_i4",
        "field_words_u4",
        "field_words_u2",
        *(f"outer_words_{kind}" for kind in ("u4x2", "u4x3", "u2x2", "u2x3")),
    }
    assert ours >= {f"{name}__dsp" for name in primitives}
