"""Kernels beside the portable ones: one file per variant, and the table of them by name."""

from __future__ import annotations

from quantmcu_kit.ops.variants import (
    binary_table,
    conv_first,
    conv_outer,
    conv_pairs,
    depthwise_planes,
    depthwise_poly,
    fully_connected_few,
    fully_connected_fields,
    fully_connected_pairs,
)
from quantmcu_kit.ops.variants.variant import Variant

_VARIANTS: tuple[Variant, ...] = (
    binary_table.VARIANT,
    conv_first.VARIANT,
    conv_outer.VARIANT,
    conv_pairs.VARIANT,
    depthwise_planes.VARIANT,
    depthwise_poly.VARIANT,
    fully_connected_few.VARIANT,
    fully_connected_fields.VARIANT,
    fully_connected_pairs.VARIANT,
)

VARIANTS: dict[str, Variant] = {variant.name: variant for variant in _VARIANTS}
