"""What the stages decide, as frozen values: calibration, precision and memory plans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

# Arena offsets, and the arena's address, are multiples of this: enough for scalars and the ESP32-S3's 128-bit loads.
ARENA_ALIGNMENT = 16

WHOLE = "whole"  # the branch class of layers that run on whole feature maps


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

    Step i is the execution of node i; a network input lives from step 0, an output until the last step.
    """

    name: str
    size: int
    first: int
    last: int


@dataclass(frozen=True)
class MemoryPlan:
    """Where each block lives in the static arena.

    Attributes:
        arena_bytes: size of the arena.
        lower_bound_bytes: the most bytes alive at one step; no plan can be smaller.
        offsets: byte offset per feature map; views and in-place results share their source's offset.
        scratch: byte offset of each node's scratch block, for nodes that have one.
        lifetimes: the blocks as placed.
    """

    arena_bytes: int
    lower_bound_bytes: int
    offsets: Mapping[str, int]
    scratch: Mapping[str, int]
    lifetimes: tuple[Lifetime, ...]
