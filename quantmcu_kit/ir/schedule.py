"""How a network runs: one stage after another, each layer by layer or patch by patch. Frozen values between stages of
the pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.types import Size


class HaloMode(Enum):
    """What happens to pixels that several patches need."""

    RECOMPUTE = "recompute"  # each patch computes its own
    REUSE_ROWS = "reuse-rows"  # rows are kept for the patches below
    REUSE_COLUMNS = "reuse-columns"  # columns are kept for the patch to the right
    REUSE = "reuse"  # rows and columns are kept: nothing is computed twice

    @property
    def keeps_rows(self) -> bool:
        """Whether rows are computed once."""
        return self in (HaloMode.REUSE_ROWS, HaloMode.REUSE)

    @property
    def keeps_columns(self) -> bool:
        """Whether columns are computed once."""
        return self in (HaloMode.REUSE_COLUMNS, HaloMode.REUSE)


@dataclass(frozen=True)
class Grid:
    """Patches of a map: how many from top to bottom and from left to right."""

    rows: int
    columns: int

    def __str__(self) -> str:
        return f"{self.rows}x{self.columns}"


@dataclass(frozen=True)
class Span:
    """Rows (or columns) of a map in one step of a grid: memory holds them from ``first`` on; [start, end) are new.

    Where the step needs nothing of the map, ``start == end`` and ``first`` is what the next step wants kept.
    """

    first: int
    start: int
    end: int

    @property
    def fresh(self) -> int:
        """How many are new."""
        return self.end - self.start


@dataclass(frozen=True)
class PatchedMap:
    """A map of a patched stage in memory.

    Attributes:
        tensor: its name.
        rows, columns: one span per row, per column of patches.
        needed: most rows and columns of it that a patch needs.
        held: rows and columns that lie in memory: the same, or all of the map for a resident end of the stage.
        kept_rows: rows over the map's full width that are kept beside the tile for the patches below.
        stays: whether the tile lives as long as the stage, because it keeps something from patch to patch.
        first_node, last_node: those of the graph that write it and read it last: the life of a tile that does not stay.
    """

    tensor: str
    rows: tuple[Span, ...]
    columns: tuple[Span, ...]
    needed: Size
    held: Size
    kept_rows: int
    stays: bool
    first_node: int
    last_node: int

    @property
    def pixels(self) -> int:
        """Pixels that all patches compute, what they compute again included."""
        return sum(span.fresh for span in self.rows) * sum(span.fresh for span in self.columns)


@dataclass(frozen=True)
class Patches:
    """How a stage runs patch by patch.

    Attributes:
        grid: of the last map that is cut into patches.
        mode: what is kept between patches.
        input, output: maps at the two ends.
        maps: every map of the stage, in order of computation, the two ends included; views share their source's.
        pulls_input: the input is not resident: each patch asks for the rows and columns that are new.
        junction_bytes: the block that holds the resident ends: the output at its start, the input at its end.
        accumulates: the last node reduces its whole input, and adds up as pixels come.
    """

    grid: Grid
    mode: HaloMode
    input: str
    output: str
    maps: tuple[PatchedMap, ...]
    pulls_input: bool
    junction_bytes: int
    accumulates: bool

    @property
    def row_steps(self) -> int:
        """Rows of patches. Where rows are kept, there are more than the grid's: earlier maps are ahead of the last."""
        return len(self.maps[0].rows)

    @property
    def column_steps(self) -> int:
        """Patches in a row, likewise."""
        return len(self.maps[0].columns)

    @cached_property
    def by_tensor(self) -> Mapping[str, PatchedMap]:
        """The maps by name."""
        return {entry.tensor: entry for entry in self.maps}


@dataclass(frozen=True)
class Stage:
    """Nodes [start, end) of the graph; ``patches`` is None where they run layer by layer."""

    start: int
    end: int
    patches: Patches | None


@dataclass(frozen=True)
class Schedule:
    """Stages from the network's input to its output."""

    stages: tuple[Stage, ...]

    @staticmethod
    def whole(graph: Graph) -> Schedule:
        """Layer by layer from end to end."""
        return Schedule((Stage(0, len(graph.nodes), None),))

    @property
    def pulls_input(self) -> bool:
        """Whether the network's input is not resident."""
        patches = self.stages[0].patches if self.stages else None
        return patches is not None and patches.pulls_input

    @property
    def is_patched(self) -> bool:
        """Whether any stage runs patch by patch."""
        return any(stage.patches for stage in self.stages)
