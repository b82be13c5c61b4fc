"""A generated library on an emulated board: compiled with a small program around it, run, measured layer by layer."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from quantmcu_kit.boards.catalog import Board, boards
from quantmcu_kit.emulate.cores import find_core
from quantmcu_kit.emulate.elf import Image, Sizes
from quantmcu_kit.emulate.firmware import CAMERA_START, MemoryMap, compile_firmware
from quantmcu_kit.emulate.flash import FlashWaits
from quantmcu_kit.emulate.machine import Layers, Machine
from quantmcu_kit.emulate.timing import TimingModel, timing_model
from quantmcu_kit.emulate.toolchain import find_toolchain
from quantmcu_kit.errors import EXIT_FAILED, QmkitError
from quantmcu_kit.ir.manifest import LayerEntry, Manifest, PortEntry

_PROGRAM = Path(__file__).with_name("run_network.c")
STACK_BYTES = 4096  # of the emulated program
OPTIMIZE = "-Os"  # as Arduino cores compile; the runtime asks GCC for -O2 in its own files
_START_INSTRUCTIONS = 10_000_000  # clearing of memory, copies, layers without multiply-accumulates
_MOST_INSTRUCTIONS_PER_MAC = 500  # far above what any kernel takes; a run beyond it hangs


@dataclass(frozen=True)
class LayerCycles:
    """Modelled cycles of one layer in one run of the network."""

    index: int
    name: str
    op: str
    macs: int
    cycles: int


@dataclass(frozen=True, eq=False)
class BoardRun:
    """Runs of a network on an emulated board.

    Attributes:
        outputs: int8 [n, ...] per port.
        cycles: of each run, from the call to its return.
        layers: cycles of each layer, mean over the runs.
        functions: (name, cycles of its own instructions in all runs), most first.
        stack_bytes: deepest use of the stack, the program around the library included.
    """

    outputs: tuple[np.ndarray, ...]
    cycles: tuple[int, ...]
    layers: tuple[LayerCycles, ...]
    functions: tuple[tuple[str, int], ...]
    stack_bytes: int
    unaligned: int

    @property
    def cycles_between(self) -> int:
        """Of a run, mean: what belongs to no layer, such as checks, moves between patches and the output's copy."""
        return round(sum(self.cycles) / len(self.cycles)) - sum(layer.cycles for layer in self.layers)


def emulated_boards() -> tuple[Board, ...]:
    """The boards of the catalog that can be emulated."""
    return tuple(board for board in boards() if board.flash_start is not None)


def require_emulated(board: Board) -> None:
    """Raise ``not-emulated`` for a board whose core the emulator does not have."""
    if board.flash_start is None:
        raise QmkitError(
            "not-emulated",
            f"{board.id} has a {board.cpu}, which is not emulated",
            why="the emulator and its cycle tables are for Cortex-M cores",
            hint="choose one of " + ", ".join(entry.id for entry in emulated_boards()),
        )


def _refuse_external(manifest: Manifest, board: Board) -> None:
    """Raise ``does-not-fit`` for a library with maps in external RAM: no emulated board has any."""
    if manifest.external_bytes:
        raise QmkitError(
            "does-not-fit",
            f"{manifest.name} needs {manifest.external_bytes:,} bytes of external RAM, and {board.id} has none",
            why=f"it was built for {manifest.board}",
            hint="build it for the board on which it is to run",
            exit_code=EXIT_FAILED,
        )


class BoardLibrary:
    """A library compiled for an emulated board. Use it as a context manager, or call :meth:`close`.

    Args:
        path: folder of the library.
        manifest: its manifest.
        board: where to run it.
        optimize: the compiler's level.
        stack_bytes: RAM kept for the stack.
        flash_waits: let the flash make the core wait, as the board's TOML file describes it.
        check_accesses: look at every load and store; about three times slower.
    Raises:
        QmkitError: ``not-emulated``, ``cross-compiler-missing``, ``emulator-missing``, ``compile-failed`` or
            ``does-not-fit``.
    """

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        board: Board,
        *,
        optimize: str = OPTIMIZE,
        stack_bytes: int = STACK_BYTES,
        flash_waits: bool = False,
        check_accesses: bool = True,
    ) -> None:
        require_emulated(board)
        _refuse_external(manifest, board)
        self._manifest = manifest
        self.board = board
        self.toolchain = find_toolchain()
        self.model: TimingModel = timing_model(board.cpu)
        self._folder = tempfile.TemporaryDirectory(prefix="qmkit-")
        try:
            memory = MemoryMap.of(board, stack_bytes=stack_bytes, camera_bytes=_camera_bytes(manifest))
            self._image = Image(self._compile(path, memory, optimize))
            self._machine = Machine(
                self._image,
                board.cpu,
                memory,
                clock_hz=board.clock_mhz * 1_000_000,
                layers=Layers(_layer_numbers(manifest.layers), f"{manifest.name}/{manifest.name}.c"),
                flash_waits=FlashWaits.of(board) if flash_waits else None,
                check_accesses=check_accesses,
            )
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> BoardLibrary:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the compiled program."""
        self._folder.cleanup()

    @property
    def sizes(self) -> Sizes:
        """What the program takes of flash and RAM, with about 300 bytes of start-up code and console."""
        return self._image.sizes

    def run(self, *inputs: np.ndarray) -> BoardRun:
        """Run quantized inputs, int8 [n, ...] per port, one after another on the same board.

        Raises:
            QmkitError: ``board-fault`` or ``library-error``.
        """
        count = len(inputs[0])
        stream = np.concatenate([np.ascontiguousarray(array).reshape(count, -1) for array in inputs], axis=1)
        limit = _START_INSTRUCTIONS + count * (_START_INSTRUCTIONS + self._manifest.macs * _MOST_INSTRUCTIONS_PER_MAC)
        run = self._machine.run(stream.tobytes(), limit=limit)
        if run.exit_code != 0:
            raise QmkitError(
                "library-error",
                f"the library ended with exit code {run.exit_code} on {self.board.id}",
                why="its run function returned an error",
                hint="build the library again",
                exit_code=EXIT_FAILED,
            )
        outputs, cycles = self._records(run.output, count)
        assert run.stack_bytes is not None, "the linker script names the stack"
        return BoardRun(
            outputs, cycles, self._layers(run.layer_cycles, count), run.functions, run.stack_bytes, run.unaligned
        )

    def _compile(self, path: Path, memory: MemoryMap, optimize: str) -> Path:
        folder = Path(self._folder.name)
        (folder / "network.h").write_text(_network_header(self._manifest), "utf-8")
        return compile_firmware(
            self.toolchain,
            find_core(self.board.cpu),
            memory,
            [_PROGRAM, *sorted((path / "src").rglob("*.c"))],
            includes=[folder, path / "src"],
            flags=["-std=c99", optimize],
            target=folder / "firmware.elf",
        )

    def _records(self, output: bytes, count: int) -> tuple[tuple[np.ndarray, ...], tuple[int, ...]]:
        ports = self._manifest.outputs
        record = np.dtype([*((f"o{i}", np.int8, port.shape[1:]) for i, port in enumerate(ports)), ("cycles", "<u8")])
        records = np.frombuffer(output, record, count)
        outputs = tuple(np.ascontiguousarray(records[f"o{i}"]) for i in range(len(ports)))
        return outputs, tuple(int(value) for value in records["cycles"])

    def _layers(self, cycles: Sequence[int], count: int) -> tuple[LayerCycles, ...]:
        spent = [*cycles[1:], *[0] * (len(self._manifest.layers) + 1 - len(cycles))]
        return tuple(
            LayerCycles(layer.index, layer.name, layer.op, layer.macs, round(spent[layer.index] / count))
            for layer in self._manifest.layers
        )


def _layer_numbers(layers: Sequence[LayerEntry]) -> dict[str, int]:
    """Layer number from 1 by the name of the constant that describes a kernel call in the generated C."""
    numbers = {}
    for layer in layers:
        several = len(layer.kernels) > 1
        for position in range(len(layer.kernels)):
            numbers[f"k{layer.index:02d}_{position}" if several else f"k{layer.index:02d}"] = layer.index + 1
    return numbers


def _bytes(port: PortEntry) -> int:
    return int(np.prod(port.shape, dtype=np.int64))


def _camera_bytes(manifest: Manifest) -> int:
    """Size of an input that is not resident: it is the only one."""
    return sum(_bytes(port) for port in manifest.inputs if port.arena_offset is None)


def _network_header(manifest: Manifest) -> str:
    """network.h: what run_network.c needs to know."""
    name, macro = manifest.name, manifest.name.upper()
    offsets = np.cumsum([0, *(_bytes(port) for port in manifest.outputs)])
    places = [(port.arena_offset or 0, _bytes(port)) for port in manifest.inputs]
    arguments = [f"INPUT_MEMORY + {offset}" for offset, _ in places]
    arguments += [f"output + {offset}" for offset in offsets[:-1]]
    memory = f"((int8_t *){CAMERA_START:#x}u)" if _camera_bytes(manifest) else "arena"
    return (
        f"#include <{name}.h>\n"
        f"#define ARENA_BYTES {macro}_ARENA_BYTES\n"
        f"#define ARENA_ALIGNMENT {macro}_ARENA_ALIGNMENT\n"
        f"#define INPUT_MEMORY {memory}\n"
        f"#define INPUTS {', '.join(f'{{{offset}, {size}}}' for offset, size in places)}\n"
        f"#define OUTPUT_BYTES {offsets[-1]}\n"
        f"#define RUN {name}_run_quantized_in_arena(arena, ARENA_BYTES, {', '.join(arguments)})\n"
    )
