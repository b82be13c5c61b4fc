"""Tables of constants: every element is there, lines are short, equal tables are stored once."""

import re

import numpy as np
import pytest

from quantmcu_kit.emit.constants import ConstantPool, format_values


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32])
@pytest.mark.parametrize("shape", [(1,), (7,), (256,), (8, 3, 3, 3), (16, 1, 1, 24), (5, 1, 1, 1000), (3, 37)])
def test_every_value_is_written_in_order(dtype, shape):
    limits = np.iinfo(dtype)
    values = np.random.default_rng(0).integers(limits.min, limits.max, shape, endpoint=True).astype(dtype)
    values.reshape(-1)[0] = limits.min
    text = format_values(values)
    assert [int(number) for number in re.findall(r"-?\d+", text)] == values.reshape(-1).tolist()
    assert all(len(line) <= 120 and line == line.rstrip() for line in text.splitlines())


@pytest.mark.parametrize(("shape", "per_line"), [((8, 3, 3, 4), 12), ((10, 8), 16), ((4, 1, 1, 64), 16), ((2, 5), 15)])
def test_lines_end_where_rows_end(shape, per_line):
    values = np.full(shape, -100, np.int8)
    first = format_values(np.concatenate([values] * 4)).splitlines()[0]
    assert first.count(",") == per_line


def test_equal_tables_are_stored_once():
    pool = ConstantPool("net")
    table = np.arange(256).astype(np.int8)
    assert pool.add("03", "table", table) is pool.add("07", "table", table.copy())
    assert [constant.name for constant in pool.constants] == ["net_03_table"]


def test_small_arrays_stay_with_their_layer():
    pool = ConstantPool("net")
    shift = np.full(8, -7, np.int8)
    pool.add("03", "shift", shift)
    pool.add("07", "shift", shift)
    assert [constant.name for constant in pool.constants] == ["net_03_shift", "net_07_shift"]


def test_same_bytes_of_another_type_are_another_table():
    pool = ConstantPool("net")
    words = np.arange(64).astype(np.int32)
    pool.add("01", "words", words)
    pool.add("02", "bytes", words.view(np.int8))
    assert [constant.c_type for constant in pool.constants] == ["int32_t", "int8_t"]
