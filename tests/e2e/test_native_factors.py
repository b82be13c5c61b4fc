"""Native kernels with requantization factors of a half and more on an emulated Cortex-M4, against integers."""

from __future__ import annotations

import numpy as np

from quantmcu_kit.ops.interpret import Interpreter
from tests.e2e.test_packed_kernels_on_a_board import inputs_of, run_on_board, side_by_side
from tests.unit import test_large_factors

CASES = test_large_factors.CASES[::4]


def test_large_factors_equal_integers_on_a_board(tmp_path):
    graph = side_by_side(CASES)
    inputs = inputs_of(graph)
    run = run_on_board(graph, inputs, tmp_path)
    named = {port.tensor: values for port, values in zip(graph.inputs, inputs, strict=True)}
    expected = Interpreter(graph, integer=True).run(named)
    for made, port, actual in zip(CASES, graph.outputs, run.outputs, strict=True):
        np.testing.assert_array_equal(actual, expected[port.tensor], err_msg=str(made))
    ours = {name.split("qmcu_")[1] for name, _ in run.functions if name.endswith("__dsp")}
    assert ours >= {
        "tiles_s8__dsp",
        "tiles_s4__dsp",
        "rows_s8__dsp",
        "rows_s4__dsp",
        "field_rows_i4__dsp",
        "outer_tile_i4__dsp",
        "outer_tile_i2__dsp",
        "planes_rows_3__dsp",
        "planes_row__dsp",
        "poly_row__dsp",
    }
