"""Which branch class computes which pixels, and what the maps of a class look like."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.plans import TensorStats

_LEVELS = 256


@dataclass(frozen=True, eq=False)
class Owners:
    """The class of each patch on some pictures. A map's pixels are divided evenly among the patches.

    Patches overlap in truth: that a pixel near an edge counts for one of them alone is good enough for a loss.

    Attributes:
        classes: names [n, row steps, column steps].
    """

    classes: np.ndarray

    def pixels(self, branch_class: str, shape: tuple[int, ...], pictures: slice) -> np.ndarray:
        """bool [n, h, w, 1]: the pixels of a map [1, h, w, c] that a class computes."""
        is_of_class = self.classes[pictures] == branch_class
        rows, columns = (
            np.arange(size) * steps // size for size, steps in zip(shape[1:3], is_of_class.shape[1:], strict=True)
        )
        return is_of_class[:, rows][:, :, columns][..., None]


def level_stats(tensor: Tensor, counts: np.ndarray) -> TensorStats:
    """Statistics of a map of which only its int8 values are known, int64 [256] from -128 to 127; not all zero."""
    scale, zero = float(tensor.quant.s), tensor.quant.z
    seen = np.flatnonzero(counts)
    low, high = (scale * (edge - zero) for edge in (-_LEVELS / 2 - 0.5, _LEVELS / 2 - 0.5))
    first, last = (scale * (int(level) - _LEVELS // 2 - zero) for level in (seen[0], seen[-1]))
    return TensorStats(first, last, counts.astype(np.int64), low, high)


def class_stats(
    owners: Owners,
    maps: Iterable[Tensor],
    batches: Iterable[tuple[slice, Mapping[str, np.ndarray]]],
) -> dict[tuple[str, str], TensorStats]:
    """Statistics by (branch class, map) of the pixels that a class computes; classes without any are left out.

    Args:
        batches: pictures, and their int8 maps.
    """
    names, tensors = tuple(np.unique(owners.classes)), tuple(maps)
    counts = {(name, tensor.name): np.zeros(_LEVELS, np.int64) for name in names for tensor in tensors}
    for pictures, values in batches:
        for name in names:
            for tensor in tensors:
                owned = owners.pixels(name, tensor.shape, pictures)[..., 0]
                levels = values[tensor.name][owned].view(np.uint8) ^ np.uint8(_LEVELS // 2)
                counts[name, tensor.name] += np.bincount(levels.reshape(-1), minlength=_LEVELS)
    of_name = {tensor.name: tensor for tensor in tensors}
    return {key: level_stats(of_name[key[1]], each) for key, each in counts.items() if each.any()}
