"""Cycles that are promised: kernels, and a whole network, on an emulated Cortex-M4; and their code."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("unicorn", reason="the extra [emulator] is not installed")
pytest.importorskip("elftools", reason="the extra [emulator] is not installed")

from quantmcu_kit import emit, passes, tflite
from quantmcu_kit.boards.catalog import find
from quantmcu_kit.emulate.library import BoardLibrary, BoardRun
from quantmcu_kit.emulate.toolchain import find_toolchain
from quantmcu_kit.ir import manifest as manifests
from quantmcu_kit.layout import lay_out
from quantmcu_kit.options import Options
from tests.bench.kernel_cases import CASES, network
from tests.bench.kernels import roomy_board, run_on_board, with_kernel
from tests.support import arm
from tests.support.shared import model_bytes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BUDGETS = tomllib.loads((Path(__file__).parent / "budgets.toml").read_text())
GROWTH = 1.02  # beyond which a test fails
COMPILER = "arm-none-eabi-gcc 12.2.1"

pytestmark = arm.needs_arm


@pytest.fixture(autouse=True)
def compiler():
    if find_toolchain().name != COMPILER:
        pytest.skip(f"the budgets are for {COMPILER}")


def check(cycles: int, budget: int) -> None:
    assert cycles <= budget * GROWTH, f"{cycles:,} cycles, budget {budget:,}"


@pytest.mark.parametrize("kernel", BUDGETS["kernels"])
def test_cycles_of_kernels(kernel):
    """The first layers of the bench, by one kernel each; their bytes are checked on the way."""
    budgets = BUDGETS["kernels"][kernel]
    cases = tuple(case for case in CASES if any(name.startswith(case.name) for name in budgets))
    graph, placed = network(cases, [tuple(map(int, name.rpartition(" W")[2].split("A"))) for name in budgets])
    chosen, able = with_kernel(graph, kernel)
    run = run_on_board(chosen, roomy_board())
    for name, budget in budgets.items():
        (node,) = (
            each.node
            for each in placed
            if not each.is_signed and f"{each.case.name} W{each.widths[0]}A{each.widths[1]}" == name
        )
        assert node in able
        check(run.layers[node].cycles, budget)


def run_vww(folder: Path) -> tuple[BoardRun, int]:
    """The network as `qmkit build` lays it out, and the bytes of all code."""
    board = find("nano33ble")
    graph = passes.run_all(tflite.load(model_bytes("vww_96_int8"), name="vww"))
    layout = lay_out(graph, board, Options(board=board.id))
    files = emit.render(layout.graph, layout.memory, name="vww", board=board.id, schedule=layout.schedule)
    path = emit.write(files, folder / "vww")
    inputs = np.random.default_rng(0).integers(-128, 128, (1, 96, 96, 3)).astype(np.int8)
    with BoardLibrary(path, manifests.from_json(files[manifests.PATH]), board, check_accesses=False) as library:
        return library.run(inputs), library.sizes.code


def test_cycles_and_code_of_a_network(tmp_path):
    run, code = run_vww(tmp_path)
    check(run.cycles[0], BUDGETS["vww_96_int8"]["cycles"])
    assert code <= BUDGETS["vww_96_int8"]["native_code"] <= 32_000
