"""Libraries that run patch by patch on emulated boards: bytes, memory, cycles, and the board's own test."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from quantmcu_kit import memory
from quantmcu_kit.boards.catalog import find
from quantmcu_kit.emit import footprint
from quantmcu_kit.emulate.firmware import CAMERA_START
from quantmcu_kit.emulate.library import STACK_BYTES, BoardLibrary, emulated_boards
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.schedule import HaloMode, Schedule
from quantmcu_kit.ops.interpret import Interpreter
from quantmcu_kit.verify.contents import read_contents
from tests.support.libraries import PIXEL, tool
from tests.support.offline_platformio import lay_out, pio
from tests.support.patched_cases import collected
from tests.support.patched_libraries import built, patched, small_network
from tests.support.small_graphs import GraphBuilder

GRAPH = small_network()
SCHEDULES = {
    "whole": Schedule.whole(GRAPH),
    "resident": patched(GRAPH, (3, 2), HaloMode.REUSE, end=5),
    "pulled-rows": patched(GRAPH, (4, 1), HaloMode.REUSE, pulls_input=True),
    "pulled-tiles": patched(GRAPH, (4, 3), HaloMode.REUSE, end=5, pulls_input=True),
    "pulled-recomputed": patched(GRAPH, (2, 3), HaloMode.RECOMPUTE, end=5, pulls_input=True),
}

CYCLES_OF_A_ROW = 200  # of sums in any case, which 48 of them do not hide


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    pytest.importorskip("unicorn", reason="the extra [emulator] is not installed")
    folder = tmp_path_factory.mktemp("patched")
    return {name: built(GRAPH, schedule, folder / name, preprocess=PIXEL) for name, schedule in SCHEDULES.items()}


def on_board(library: Path, board: str) -> BoardLibrary:
    """The library on an emulated board; skips without a cross compiler."""
    try:
        return BoardLibrary(library, read_contents(library).manifest, find(board))
    except QmkitError as error:
        if error.code != "cross-compiler-missing":
            raise
        pytest.skip(error.message)


@pytest.mark.parametrize("board", ["nano33ble", "pico", "nucleo_h743zi"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_bytes_on_the_board_are_the_references(name, board, libraries):
    pictures = np.random.default_rng(2).integers(-128, 128, (3, 13, 11, 3)).astype(np.int8)
    with on_board(libraries[name], board) as library:
        run = library.run(pictures)
    np.testing.assert_array_equal(run.outputs[0], Interpreter(GRAPH, integer=True).run({"picture": pictures})["scores"])
    assert run.stack_bytes <= footprint.STACK_BYTES


def test_random_networks_on_a_board(tmp_path):
    """A sample; the host has run many more."""
    pytest.importorskip("unicorn", reason="the extra [emulator] is not installed")
    for index, case in enumerate(collected(8)):
        library = built(case.graph, case.schedule, tmp_path / str(index))
        name = case.graph.inputs[0].tensor
        x = np.random.default_rng(index).integers(-128, 128, case.graph.tensors[name].shape).astype(np.int8)
        (expected,) = Interpreter(case.graph, integer=True).run({name: x}).values()
        with on_board(library, "nano33ble") as program:
            np.testing.assert_array_equal(program.run(x).outputs[0], expected, err_msg=str(index))


def test_cycles_belong_to_the_layers_that_spend_them(libraries):
    picture = np.zeros((1, 13, 11, 3), np.int8)
    runs = {}
    for name in SCHEDULES:
        with on_board(libraries[name], "nano33ble") as library:
            runs[name] = library.run(picture)
    layers = {name: [layer.cycles for layer in run.layers] for name, run in runs.items()}
    for name, run in runs.items():
        assert sum(layers[name]) + run.cycles_between == run.cycles[0]
        assert all(cycles > 0 for cycles in layers[name][:5]) and layers[name][6] > 0
    # Rows in a ring: the same pixels once, in four calls. Tiles that overlap: 90 of the stem's pixels where 42 do.
    for node, whole, in_rows in zip(GRAPH.nodes[:5], layers["whole"][:5], layers["pulled-rows"][:5], strict=True):
        rows = GRAPH.tensors[node.output].shape[1] if node.op == "ADD" else 0
        assert whole <= in_rows < 1.25 * whole + CYCLES_OF_A_ROW * rows
    assert layers["pulled-recomputed"][0] == pytest.approx(layers["whole"][0] * 90 / 42, rel=0.25)
    assert runs["whole"].cycles_between < 1000 < runs["pulled-tiles"].cycles_between


def test_input_that_is_pulled_takes_no_ram(tmp_path):
    """A picture larger than the board's RAM."""
    pytest.importorskip("unicorn", reason="the extra [emulator] is not installed")
    builder = GraphBuilder("small")
    x = builder.feature_map("picture", (1, 320, 320, 3))
    for index in range(4):
        x = builder.conv(x, f"conv{index}", 4, stride=2)
    graph = builder.build(("picture",), (x,))
    board = find("nano33ble")
    room = board.ram_bytes - board.core_ram_bytes
    assert graph.tensors["picture"].bytes > room
    schedule = patched(graph, (20, 1), HaloMode.REUSE, pulls_input=True)
    picture = np.random.default_rng(3).integers(-128, 128, (1, 320, 320, 3)).astype(np.int8)
    library = built(graph, schedule, tmp_path, vectors=())
    with on_board(library, board.id) as on:
        run = on.run(picture)
        assert on.sizes.arena == memory.plan(graph, schedule).arena_bytes < 30_000
        assert on.sizes.data + on.sizes.bss + on.sizes.arena + STACK_BYTES < room
    np.testing.assert_array_equal(run.outputs[0], Interpreter(graph, integer=True).run({"picture": picture})[x])


def test_commands_take_a_library_that_pulls_its_input(qmkit, libraries):
    library = libraries["pulled-tiles"]
    with on_board(library, "nano33ble"):
        pass  # skips where it cannot run
    result = qmkit("verify", library, "--board", "nano33ble", "--json")
    assert result.code == 0, result.err
    verdict = json.loads(result.out)
    assert (verdict["host"]["mismatches"], verdict["emulated"]["mismatches"]) == (0, 0)
    assert verdict["emulated"]["vectors"] == 2
    shown = qmkit("bench", library, "--board", "nano33ble")
    assert shown.code == 0 and "between layers" in shown.out, shown.err
    facts = json.loads(qmkit("bench", library, "--board", "nano33ble", "--json").out)
    assert [layer["cycles"] > 0 for layer in facts["layers"]] == [True] * 5 + [False, True]
    assert facts["arena_bytes"] == read_contents(library).manifest.arena_bytes


def test_no_board_has_memory_where_its_camera_is():
    for board in emulated_boards():
        own = ((board.flash_start, board.flash_bytes), (board.ram_start, board.ram_bytes))
        assert not any(CAMERA_START < start + size and start < CAMERA_START + (1 << 28) for start, size in own), (
            board.id
        )


def test_external_ram_is_refused(tmp_path):
    library = built(GRAPH, SCHEDULES["resident"], tmp_path)
    manifest = dataclasses.replace(read_contents(library).manifest, external_bytes=1_000_000)
    with pytest.raises(QmkitError) as caught:
        BoardLibrary(library, manifest, find("nano33ble"))
    assert caught.value.code == "does-not-fit" and "1,000,000 bytes of external RAM" in caught.value.message


def test_a_write_into_the_camera_is_a_fault(libraries, tmp_path):
    """What a library pulls from is not memory that it may use."""
    library = built(GRAPH, SCHEDULES["pulled-rows"], tmp_path)
    source = library / "src" / "small" / "small.c"
    text = source.read_text()
    reads = "    if (source->values != NULL) {\n"
    assert text.count(reads) == 1
    source.write_text(text.replace(reads, reads + "        *(int8_t *)(uintptr_t)source->values = 1;\n"))
    with on_board(library, "nano33ble") as on, pytest.raises(QmkitError) as caught:
        on.run(np.zeros((1, 13, 11, 3), np.int8))
    assert caught.value.code == "board-fault" and "write of 1 byte at 0x90000000" in caught.value.message


def test_pio_test_of_a_library_that_pulls_its_input(libraries, tmp_path):
    with on_board(libraries["pulled-tiles"], "nano33ble"):
        pass  # skips where it cannot run
    tool("gcc")
    tool("g++")
    core = lay_out(tmp_path / "platformio")
    library = built(GRAPH, SCHEDULES["pulled-tiles"], tmp_path, preprocess=PIXEL)
    report = library / "report.json"
    environments = ("native", "emulated_nano33ble")
    chosen = [word for name in environments for word in ("-e", name)]
    result = pio(core, library, "test", *chosen, "--json-output-path", report)
    assert result.code == 0, result.output
    suites = [suite for suite in json.loads(report.read_text())["test_suites"] if suite["env_name"] in environments]
    assert {suite["env_name"]: [case["status"] for case in suite["test_cases"]] for suite in suites} == {
        name: ["PASSED"] * 2 for name in environments
    }
