"""Which constants are copied to RAM: by hand, on a network of three layers, its pixels 64, 16 and 16."""

import dataclasses

import pytest

from quantmcu_kit import emit, memory
from quantmcu_kit.boards.catalog import find
from quantmcu_kit.emit.footprint import estimate_footprint
from quantmcu_kit.ir import manifest as manifests
from quantmcu_kit.layout import spare_ram
from quantmcu_kit.options import Options
from tests.support.small_graphs import conv_chain

STEM = {"small_00_weights": 108, "small_00_bias": 16, "small_00_multiplier": 16, "small_00_shift": 4}
SMALLEST = {"small_02_shift": 2}  # of what is read 16 times


def names(text: str, start: str, end: str) -> tuple[set[str], set[str]]:
    """Arrays that are const in C, and those that are not."""
    lines = [line.removeprefix(start) for line in text.splitlines() if line.startswith(start) and line.endswith(end)]
    arrays = [(line.startswith("const "), line.split("[")[0].split()[-1]) for line in lines if "[" in line]
    return {name for const, name in arrays if const}, {name for const, name in arrays if not const}


@pytest.mark.parametrize(
    ("budget", "hot"),
    [
        (0, {}),
        (1, {}),
        (144, STEM),
        (147, STEM | SMALLEST),
        (38, {name: size for name, size in STEM.items() if size < 100} | SMALLEST),
    ],
)
def test_what_is_read_most_often_comes_first(budget, hot):
    graph = conv_chain()
    files = emit.render(graph, memory.plan(graph), name="small", board="nano33ble", hot_bytes=budget)
    declared = names(files["src/small/weights.h"], "extern ", ";")
    assert declared == names(files["src/small/weights.c"], "", "] = {")
    assert declared[1] == set(hot) and declared[0]
    manifest = manifests.from_json(files[manifests.PATH])
    footprint = estimate_footprint(manifest)
    assert manifest.hot_bytes == sum(hot.values())
    assert footprint.ram_bytes == manifest.arena_bytes + footprint.stack_bytes + manifest.hot_bytes


def test_room_is_what_the_board_leaves_beside_arena_and_stack():
    plan, board = memory.plan(conv_chain()), find("nano33ble")
    assert spare_ram(board, Options(), plan) == board.free_ram_bytes - 1152 - plan.arena_bytes
    assert spare_ram(board, Options(ram=plan.arena_bytes), plan) == spare_ram(board, Options(), plan)
    full = dataclasses.replace(plan, arena_bytes=board.free_ram_bytes)
    assert spare_ram(board, Options(), full) == 0
