"""What the templates read: a library's parts and what follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from quantmcu_kit import __version__
from quantmcu_kit.boards.catalog import boards
from quantmcu_kit.emit.constants import Constant
from quantmcu_kit.emit.interface import Interface
from quantmcu_kit.emit.layers import Layer
from quantmcu_kit.emit.names import comment, prototype
from quantmcu_kit.emit.runtime_files import NATIVE, defined_symbols, needed_files
from quantmcu_kit.emit.stages import Move, Segment, WholeStage
from quantmcu_kit.ir.contract import Golden
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import ARENA_ALIGNMENT, MemoryPlan
from quantmcu_kit.ir.schedule import Schedule

_NO_TABLES = np.empty(0, np.int8)


@dataclass(frozen=True, eq=False)
class Library:
    """A library."""

    name: str
    graph: Graph
    memory: MemoryPlan
    board: str
    interface: Interface
    schedule: Schedule
    layers: tuple[Layer, ...]
    stages: tuple[WholeStage | Segment, ...]
    moves: tuple[Move | None, ...]
    constants: tuple[Constant, ...]
    goldens: tuple[Golden, ...]
    hot: frozenset[str] = frozenset()
    version: str = __version__
    alignment: int = ARENA_ALIGNMENT

    @property
    def macro(self) -> str:
        """Prefix of the library's macros."""
        return self.name.upper()

    @property
    def model_name(self) -> str:
        """The network's name, safe inside a comment."""
        return comment(self.graph.name)

    @property
    def description(self) -> str:
        """One line for library managers."""
        return f"The neural network {self.model_name.replace(chr(34), chr(39))} as a self-contained integer C library"

    @property
    def figures(self) -> str:
        """Board, memory and work, for banners."""
        return (
            f"board {self.board}   arena {self.memory.arena_bytes:,} B   "
            f"constants {self.weights_bytes:,} B   {self.macs:,} MAC"
        )

    @property
    def statements(self) -> tuple[str, ...]:
        """The body of the run function, which begins after the patches of an input that is pulled."""
        lines: list[str] = []
        for stage, move in zip(self.stages, self.moves, strict=True):
            if move:
                lines.append(move.statement)
            lines += stage.statements if isinstance(stage, WholeStage) else stage.run_statements
        return tuple(lines)

    @property
    def uses_external(self) -> bool:
        """Whether maps lie in external RAM."""
        return self.memory.external_bytes > 0

    def prototype(self, function: str, parameters: Sequence[str], *, in_arena: bool = False, storage: str = "") -> str:
        """A C function that returns an error code; with ``in_arena``, its memory comes first."""
        memory = ["void *arena", "size_t arena_bytes", *(["void *external"] if self.uses_external else [])]
        return prototype(function, [*(memory if in_arena else []), *parameters], storage)

    @property
    def writes_slices(self) -> bool:
        """Whether a layer writes some channels of a wider map."""
        return any(stage.pixel_bytes for stage in self.memory.stages)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The stages that run patch by patch."""
        return tuple(stage for stage in self.stages if isinstance(stage, Segment))

    @property
    def has_classes(self) -> bool:
        """Whether patches are of several branch classes."""
        return any(segment.classes for segment in self.segments)

    @property
    def scans_patches(self) -> bool:
        """Whether the picture decides of which class a patch is."""
        return any(segment.classes and segment.classes.is_scanned for segment in self.segments)

    @property
    def exchanges_rows(self) -> bool:
        """Whether patches of one branch class keep rows for those of another."""
        return any(layer.exchange for layer in self.layers)

    @property
    def pulls_input(self) -> bool:
        """Whether the input is not in the arena."""
        return self.schedule.pulls_input

    @property
    def reads_in_order(self) -> bool:
        """Whether the input's rows are asked for one after the other, each once and whole."""
        patches = self.schedule.stages[0].patches if self.pulls_input else None
        return patches is None or (patches.column_steps == 1 and patches.mode.keeps_rows)

    @property
    def push_rows(self) -> int:
        """Rows of the input that a picture in rows must keep: from the first that a row of patches is to read."""
        spans = self.schedule.stages[0].patches.maps[0].rows
        return max(max(before.end for before in spans[: index + 1]) - span.start for index, span in enumerate(spans))

    @property
    def kernels(self) -> tuple[str, ...]:
        """Stems of the kernels that are called, sorted."""
        return tuple(sorted({call.kernel for layer in self.layers for call in layer.calls}))

    @property
    def weights_bytes(self) -> int:
        """Bytes of constants in flash: those of the layers, and the tables for pixels."""
        tables = self.interface.pixels.tables if self.takes_pixels and not self.interface.pixels.is_xor else _NO_TABLES
        return sum(constant.bytes for constant in self.constants) + tables.nbytes

    @property
    def hot_bytes(self) -> int:
        """Bytes of those constants that are in RAM too."""
        return sum(constant.bytes for constant in self.constants if constant.name in self.hot)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one run."""
        return sum(layer.macs for layer in self.layers)

    @cached_property
    def runtime(self) -> dict[str, str]:
        """The runtime files that the kernels need."""
        return needed_files(
            self.kernels,
            has_patches=bool(self.segments),
            has_scans=self.scans_patches,
            has_exchanges=self.exchanges_rows,
            has_packed=self.has_packed,
            has_native=any(board.id == self.board and board.has_dsp for board in boards()),
        )

    @property
    def has_packed(self) -> bool:
        """Whether maps or weights have less than 8 bits."""
        graphs = (
            self.graph,
            *(graph for segment in self.segments if segment.classes for graph in segment.classes.graphs),
        )
        return any(tensor.dtype.is_packed for graph in graphs for tensor in graph.tensors.values())

    @property
    def has_native(self) -> bool:
        """Whether a processor's own instructions run hot loops, where the compiler's target has them."""
        return any(path.startswith(NATIVE) and path.endswith(".c") for path in self.runtime)

    @property
    def runtime_symbols(self) -> tuple[str, ...]:
        """External symbols of these files."""
        return tuple(sorted(symbol for path, text in self.runtime.items() for symbol in _symbols(path, text)))

    @property
    def takes_pixels(self) -> bool:
        """Whether ``<name>_run`` exists."""
        return self.interface.pixels is not None

    @property
    def example(self) -> str:
        """Name of the example sketch."""
        return f"{self.name}_image" if self.takes_pixels else f"{self.name}_input"

    @cached_property
    def picture(self) -> np.ndarray | None:
        """Pixels of the first golden vector, where there is one and pixels lead to it."""
        return self.interface.pixels.picture_of(self.goldens[0]) if self.goldens and self.takes_pixels else None


def _symbols(path: str, text: str) -> tuple[str, ...]:
    return defined_symbols(text) if path.endswith(".c") else ()
