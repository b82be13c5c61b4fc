"""Libraries whose patches are of two branch classes on emulated boards: a sample; the host has run many more."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from quantmcu_kit import emit, memory
from quantmcu_kit.boards.catalog import find
from quantmcu_kit.emit.latency import estimate_latency
from quantmcu_kit.emulate.library import BoardLibrary
from quantmcu_kit.emulate.toolchain import find_toolchain
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.branches import Branches, Scan, StaticClasses, inner_maps, settled
from quantmcu_kit.ir.graph import Graph, Node, Tensor
from quantmcu_kit.ir.plans import MIXED, OUTLIER
from quantmcu_kit.ir.schedule import HaloMode
from quantmcu_kit.ops.branches import interpreter_of
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.verify.contents import read_contents
from tests.support.branch_cases import as_other_class, collected, picture
from tests.support.class_case import BRIGHT, CHECKERS, ClassCase
from tests.support.patched_firmware import run_on_board
from tests.support.patched_libraries import patched, small_network
from tests.support.patched_program import Case

NETWORKS, PICTURES = {HaloMode.RECOMPUTE: 40, HaloMode.REUSE_ROWS: 16}, 2

pytest.importorskip("unicorn", reason="the extra [emulator] is not installed")


@pytest.fixture(autouse=True)
def cross_compiler():
    """Skips where there is none."""
    try:
        find_toolchain()
    except QmkitError as error:
        pytest.skip(error.message)


def on_board(case: Case, folder: Path, board: str) -> BoardLibrary:
    """The library of a case."""
    plan = memory.plan(case.graph, case.schedule, case.branches)
    files = emit.render(case.graph, plan, name="small", board=board, schedule=case.schedule, branches=case.branches)
    library = emit.write(files, folder / "small")
    return BoardLibrary(library, read_contents(library).manifest, find(board))


def pictures(case: Case, count: int = PICTURES) -> np.ndarray:
    shape = case.graph.tensors[case.graph.inputs[0].tensor].shape
    return np.concatenate([picture(shape, np.random.default_rng(seed)) for seed in range(count)])


@pytest.mark.parametrize("mode", NETWORKS, ids=lambda mode: mode.value)
def test_bytes_on_the_board_are_the_references(mode, tmp_path):
    cases = collected(NETWORKS[mode], mode)
    requests, expected = [], []
    for index, case in enumerate(cases):
        x = pictures(case)
        interpreter = interpreter_of(case.graph, case.schedule, case.branches)
        (output,) = interpreter.run({case.graph.inputs[0].tensor: x}).values()
        requests += [(index, x[number : number + 1]) for number in range(PICTURES)]
        expected += [output[number : number + 1] for number in range(PICTURES)]
    for (index, _), got, wanted in zip(requests, run_on_board(cases, requests, tmp_path), expected, strict=True):
        np.testing.assert_array_equal(got, wanted, err_msg=f"case {index}")
    assert sum(isinstance(case.branches.rule, Scan) for case in cases) == len(cases) // 2


def test_bytes_of_refined_networks_are_the_references(tmp_path):
    """Constants that are fitted to what patches of mixed classes read: libraries as a build makes them."""
    cases, requests, expected = [], [], []
    for rule, mode in product((CHECKERS, BRIGHT), NETWORKS):
        case = ClassCase(rule, mode=mode, mixed=2)
        graph, branches = settled(case.refined().branches())
        plain = case.plain[OUTLIER]
        assert any(not np.array_equal(plain.tensors[node.inputs[1]].data, each.data) for node, each in weights(graph))
        interpreter = interpreter_of(graph, case.classes.schedule, branches)
        x = case.inputs[:PICTURES]
        (output,) = interpreter.run({"x": x}).values()
        assert 0 < interpreter.classes({"x": x}).mean() < 1
        requests += [(len(cases), x[number : number + 1]) for number in range(PICTURES)]
        expected += [output[number : number + 1] for number in range(PICTURES)]
        cases.append(Case(graph, case.classes.schedule, branches))
    for got, wanted in zip(run_on_board(cases, requests, tmp_path), expected, strict=True):
        np.testing.assert_array_equal(got, wanted)


def weights(graph: Graph) -> list[tuple[Node, Tensor]]:
    """Of nodes that have any."""
    return [(node, graph.tensors[node.inputs[1]]) for node in graph.nodes if TABLE[node.op].weight_axis is not None]


@pytest.mark.parametrize("bits", [8, 4])
def test_kept_rows_cost_no_more_than_estimated(bits, tmp_path):
    """Between the layers: rows that are copied, or go through tables from class to class and back."""
    graph = small_network()
    schedule = patched(graph, (3, 2), HaloMode.REUSE_ROWS, end=5)
    patches = schedule.stages[0].patches
    other = as_other_class(graph, inner_maps(patches), np.random.default_rng(1), bits)
    measured, estimated = [], []
    for name in (OUTLIER, MIXED):
        rule = StaticClasses(((name,) * patches.column_steps,) * patches.row_steps)
        case = Case(graph, schedule, Branches(0, {OUTLIER: graph, MIXED: other}, rule))
        plan = memory.plan(graph, schedule, case.branches)
        estimated.append(estimate_latency(graph, find("nano33ble"), schedule, plan, case.branches).patches)
        with on_board(case, tmp_path / name, "nano33ble") as library:
            measured.append(library.run(pictures(case, 1)).cycles_between)
    assert 0 < measured[1] - measured[0] <= estimated[1] - estimated[0] < 1.6 * (measured[1] - measured[0])


@pytest.mark.parametrize("board", ["nano33ble", "pico"])
def test_cycles_belong_to_layers_in_both_classes(board, tmp_path):
    """Patches of either class count: what is between the layers is little, and a scan is there."""
    graph = small_network()
    schedule = patched(graph, (3, 2), HaloMode.RECOMPUTE, end=5)
    narrow = as_other_class(graph, inner_maps(schedule.stages[0].patches), np.random.default_rng(1), 4)
    runs = {}
    for name, score in ((OUTLIER, 1), (MIXED, 0)):
        rule = Scan(np.full(256, score, np.uint16), 0)
        case = Case(graph, schedule, Branches(0, {OUTLIER: graph, MIXED: narrow}, rule))
        with on_board(case, tmp_path / name, board) as library:
            runs[name] = library.run(pictures(case, 1))
    between = [run.cycles_between for run in runs.values()]
    assert abs(between[0] - between[1]) < 100
    for run in runs.values():
        assert all(layer.cycles > 0 for layer in run.layers[:5])
        assert run.cycles_between < 0.2 * run.cycles[0]
