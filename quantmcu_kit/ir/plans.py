"""What the stages decide, as frozen values: calibration, precision and memory plans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

# Arena offsets, and the arena's address, are multiples of this: enough for scalars and the ESP32-S3's 128-bit loads.
ARENA_ALIGNMENT = 16

TILE_ALIGNMENT = 4  # of blocks within a patched stage: there are many, and small ones

WHOLE = "whole"  # the branch class of layers that run on whole feature maps
OUTLIER = "outlier"  # of patches whose feature maps all stay at 8 bits
MIXED = "mixed"  # of patches whose feature maps have the widths that the search finds


@dataclass(frozen=True, eq=False)
class TensorStats:
    """What calibration saw of one float feature map.

    Attributes:
        minimum, maximum: extreme values over all pictures.
        counts: int64 histogram with equal bins over [low, high].
        low, high: outer edges of the histogram; they enclose [minimum, maximum].
    """

    minimum: float
    maximum: float
    counts: np.ndarray
    low: float
    high: float

    @property
    def centres(self) -> np.ndarray:
        """Real value at the middle of each bin."""
        width = (self.high - self.low) / len(self.counts)
        return self.low + width * (np.arange(len(self.counts)) + 0.5)


@dataclass(frozen=True, eq=False)
class InputMoments:
    """First and second moments of what a weighted node multiplies its weights with (``ops.linear``).

    Attributes:
        mean: float64 [groups, k].
        covariance: float64 [groups, k, k]; None where k is too large to be worth it.
        samples: how many columns were seen.
    """

    mean: np.ndarray
    covariance: np.ndarray | None
    samples: int


@dataclass(frozen=True, eq=False)
class Calibration:
    """What calibration saw on ``pictures`` pictures: statistics per tensor name, moments per weighted node."""

    tensors: Mapping[str, TensorStats]
    moments: Mapping[str, InputMoments]
    pictures: int


@dataclass(frozen=True)
class PrecisionPlan:
    """Bits per feature map and branch class, and per weight tensor.

    Precision is a property of (branch class, tensor): one map may hold patches of two widths. A pair that is
    not listed has ``default`` bits.
    """

    default: int = 8
    feature_maps: Mapping[tuple[str, str], int] = field(default_factory=dict)
    weights: Mapping[str, int] = field(default_factory=dict)

    def bits(self, tensor: str, branch_class: str = WHOLE) -> int:
        """Width of a feature map within a branch class."""
        return self.feature_maps.get((branch_class, tensor), self.default)


@dataclass(frozen=True)
class Lifetime:
    """An arena block: ``size`` bytes needed from step ``first`` to step ``last``, both included.

    Step i is the execution of node i, in all patches of a stage; what must survive from patch to patch lives through
    the whole stage.
    """

    name: str
    size: int
    first: int
    last: int


@dataclass(frozen=True)
class StageMemory:
    """Where each block of one stage lives in the arena.

    Attributes:
        bytes: from the arena's start to the end of the highest block.
        lower_bound_bytes: the most bytes alive at one step; no placement can be smaller.
        offsets: byte offset per feature map, or of its tile; views and in-place results share their source's offset.
        scratch: byte offset of each node's scratch block, for nodes that have one.
        kept: byte offset of the rows that a map keeps beside its tile, for maps that do.
        sums: byte offset of the int32 sums of a stage that ends in a reduction, else None.
        joined: the joined map of each map that is written where a concatenation wants it: nothing is left to copy.
        pixel_bytes: of those among them whose pixels are part of wider ones, the bytes from pixel to pixel.
        external: maps that lie in external RAM, where their offsets count from its own start.
        external_bytes: from that start to the end of the highest block.
        lifetimes: the blocks as placed.
    """

    bytes: int
    lower_bound_bytes: int
    offsets: Mapping[str, int]
    scratch: Mapping[str, int]
    kept: Mapping[str, int]
    sums: int | None
    lifetimes: tuple[Lifetime, ...]
    joined: Mapping[str, str] = field(default_factory=dict)
    pixel_bytes: Mapping[str, int] = field(default_factory=dict)
    external: frozenset[str] = frozenset()
    external_bytes: int = 0


@dataclass(frozen=True)
class MemoryPlan:
    """The static arena. Every stage uses all of it; the map between two stages moves where they place it differently.

    Attributes:
        arena_bytes: size of the arena.
        lower_bound_bytes: of the hungriest stage.
        stages: one per stage of the schedule.
        pulls_input: the network's input is not in the arena; the first stage has a tile of it.
        external_bytes: external RAM beside the arena.
    """

    arena_bytes: int
    lower_bound_bytes: int
    stages: tuple[StageMemory, ...]
    pulls_input: bool = False
    external_bytes: int = 0

    def input_offset(self, tensor: str) -> int | None:
        """Where an input of the network lies when it begins to run; None for one that is not resident."""
        if self.pulls_input:
            return None
        return self.stages[0].offsets[tensor] if self.stages else 0

    def output_offset(self, tensor: str) -> int:
        """Where an output of the network lies when it has run."""
        return self.stages[-1].offsets[tensor]
