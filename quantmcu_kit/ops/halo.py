"""Halo rules that operators share: the region of each input that a region of the output needs.

A rule answers for maps [1, h, w, channels], with one region per input and None for constants. Regions are not clipped:
what lies beyond a map is padding, a value that nobody computes.
"""

from __future__ import annotations

from typing import Any

from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.region import Region
from quantmcu_kit.ir.types import Padding, Size
from quantmcu_kit.ops.spec import Inputs

Regions = tuple[Region | None, ...]


def map_size(tensor: Tensor) -> Size:
    """Height and width of a map [1, h, w, channels]."""
    return Size(tensor.shape[1], tensor.shape[2])


def same_place(attrs: Any, inputs: Inputs, output: Tensor, region: Region) -> Regions:
    """Elementwise: every pixel comes from the same pixel, or from all of an operand that is broadcast."""
    return tuple(_of_operand(tensor, output, region) for tensor in inputs)


def _of_operand(tensor: Tensor | None, output: Tensor, region: Region) -> Region | None:
    if tensor is None or tensor.is_constant:
        return None
    return region if map_size(tensor) == map_size(output) else Region.whole(map_size(tensor))


def window(region: Region, kernel: Size, stride: Size, dilation: Size, padding: Padding) -> Region:
    """What a sliding window sees."""
    return Region(
        region.rows.window(kernel.h, stride.h, dilation.h, padding.top),
        region.columns.window(kernel.w, stride.w, dilation.w, padding.left),
    )


def first_only(region: Region, inputs: Inputs) -> Regions:
    """For operators whose other inputs are constants."""
    return (region, *(None for _ in inputs[1:]))
