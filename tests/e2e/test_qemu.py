"""Our emulated boards against QEMU: one program gives the same output in the same number of instructions on both."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from quantmcu_kit.boards.catalog import Board
from quantmcu_kit.emulate.cores import find_core
from quantmcu_kit.emulate.elf import Image
from quantmcu_kit.emulate.firmware import MemoryMap, compile_firmware
from quantmcu_kit.emulate.machine import Machine
from quantmcu_kit.emulate.toolchain import Toolchain
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.verify.contents import read_contents
from tests.support.libraries import built, sources, tool
from tests.support.other_cores.contract import contract_inputs, contract_library
from tests.support.other_cores.network import (
    assert_same,
    network_header,
    quantized_rows,
    reference_outputs,
    split_outputs,
)
from tests.support.qemu import AN385, AN386, AN500, AN505, BOARDS, MICROBIT, build_counter, run_on_qemu
from tests.support.small_graphs import classifier

pytest.importorskip("unicorn")
pytest.importorskip("elftools")

SUPPORT = Path(__file__).resolve().parents[1] / "support"
TRICKY = [SUPPORT / "qemu_tricky.c", SUPPORT / "qemu_tricky_thumb2.c"]
FAULTS, NETWORK = SUPPORT / "qemu_faults.c", SUPPORT / "other_cores"
STACK_BYTES = 8192  # the contract's function takes 571 pointers, twice


@pytest.fixture(scope="module")
def counter(tmp_path_factory) -> Path:
    return build_counter(tmp_path_factory.mktemp("plugin"))


def toolchain(kind: str) -> Toolchain:
    """A cross-compiler by name; skips where it is missing."""
    if kind == "gcc":
        return Toolchain((tool("arm-none-eabi-gcc"),), "gcc", "")
    pytest.importorskip("ziglang")
    return Toolchain((sys.executable, "-m", "ziglang", "cc"), "zig", "")


def compile_for(board: Board, kind: str, programs: list[Path], folder: Path, *flags: str) -> Path:
    """A program for a board of QEMU's; ``folder`` is where it finds headers."""
    memory = MemoryMap.of(board, stack_bytes=STACK_BYTES)
    target = folder / f"{board.id}.elf"
    core = find_core(board.cpu)
    return compile_firmware(toolchain(kind), core, memory, programs, includes=[folder], flags=flags, target=target)


def machine(board: Board, elf: Path) -> Machine:
    """The program on our emulator."""
    memory = MemoryMap.of(board, stack_bytes=STACK_BYTES)
    return Machine(Image(elf), board.cpu, memory, clock_hz=board.clock_mhz * 1_000_000)


def run_on_both(board: Board, elf: Path, counter: Path, stdin: bytes = b"") -> bytes:
    """The output, after both emulators agreed on it, on the exit code and on the number of instructions."""
    theirs = run_on_qemu(board, elf, counter, stdin)
    ours = machine(board, elf).run(stdin)
    assert theirs.errors == b""
    assert ours.output == theirs.output
    assert ours.exit_code == theirs.exit_code
    assert ours.instructions == theirs.instructions
    return ours.output


@pytest.mark.parametrize("level", ["-O0", "-O2"])
@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.cpu)
def test_tricky_instructions_of_gcc(board, level, counter, tmp_path):
    elf = compile_for(board, "gcc", TRICKY, tmp_path, level)
    assert len(run_on_both(board, elf, counter)) > 4000


@pytest.mark.parametrize("board", [AN386, MICROBIT], ids=lambda board: board.cpu)
def test_tricky_instructions_of_zig(board, counter, tmp_path):
    elf = compile_for(board, "zig", TRICKY, tmp_path, "-O2")
    assert len(run_on_both(board, elf, counter)) > 4000


# Cases of qemu_faults.c that fault: unaligned accesses of several words, exceptions, what leads out of memory; and what
# only some cores have.
ALWAYS = "lducajb"
REFUSED = {
    "cortex-m0plus": ALWAYS + "wqsf",
    "cortex-m3": ALWAYS + "f",
    "cortex-m4f": ALWAYS,
    "cortex-m7": ALWAYS,
    "cortex-m33": ALWAYS,
}
DSP_ON_M3 = ("cortex-m3", "s")  # a Cortex-M3 has no SMUAD (DDI 0337E, 2.2); QEMU's has


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.cpu)
def test_what_faults_on_one_faults_on_the_other(board, counter, tmp_path):
    elf = compile_for(board, "gcc", [FAULTS], tmp_path, "-O1")
    for kind in "-" + ALWAYS + "wqsf":
        theirs = run_on_qemu(board, elf, counter, kind.encode())
        assert bool(theirs.exit_code) == theirs.errors.startswith(b"fault") == (kind in REFUSED[board.cpu]), kind
        if theirs.exit_code or (board.cpu, kind) == DSP_ON_M3:
            with pytest.raises(QmkitError) as caught:
                machine(board, elf).run(kind.encode())
            assert caught.value.code == "board-fault"
        else:
            assert machine(board, elf).run(kind.encode()).exit_code == 0


def run_library(board: Board, library: Path, inputs: list, counter: Path, folder: Path) -> None:
    """Hold a library's outputs on both emulators against Python's integers."""
    contents = read_contents(library)
    (folder / "network.h").write_text(network_header(contents.manifest))
    programs = [NETWORK / "cortexm_main.c", NETWORK / "network.c", *sources(library)]
    elf = compile_for(board, "gcc", programs, folder, "-I", str(library / "src"))
    rows = quantized_rows(inputs)
    outputs = run_on_both(board, elf, counter, b"".join(rows))
    expected = reference_outputs(contents.graph, inputs)
    assert_same(expected, split_outputs(contents.manifest, outputs, len(rows)))


@pytest.fixture(scope="module")
def contract(tmp_path_factory) -> Path:
    return contract_library(tmp_path_factory.mktemp("libraries"))


@pytest.mark.parametrize("board", [AN385, AN386, AN500, AN505], ids=lambda board: board.cpu)
def test_every_kernel(board, contract, counter, tmp_path):
    run_library(board, contract, contract_inputs(3), counter, tmp_path)


def test_a_network_within_16_kb(counter, tmp_path):
    library = built(classifier(), tmp_path)
    run_library(MICROBIT, library, list(read_contents(library).golden_inputs), counter, tmp_path)
