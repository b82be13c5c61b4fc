"""Graph -> graph: each pass is one verb, pure and exact on integers. Read run_all for their order."""

from __future__ import annotations

from quantmcu_kit.ir.check import check
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.passes.absorb_boundary import absorb_boundary
from quantmcu_kit.passes.clean_layout import clean_layout
from quantmcu_kit.passes.conv_to_dense import conv_to_dense
from quantmcu_kit.passes.dequantize_weights import dequantize_weights
from quantmcu_kit.passes.drop_identity import drop_identity
from quantmcu_kit.passes.drop_unused import drop_unused
from quantmcu_kit.passes.fold_constants import fold_constants
from quantmcu_kit.passes.fuse_activation import fuse_activation
from quantmcu_kit.passes.fuse_pad import fuse_pad
from quantmcu_kit.passes.remove_dead_channels import count_removed_channels, remove_alike, remove_dead_channels
from quantmcu_kit.passes.validate import validate


def run_all(graph: Graph) -> Graph:
    """Simplify an imported graph into one that is all float32 or all int8 and that every later stage can run.

    Raises:
        QmkitError: what :func:`validate` refuses.
    """
    graph = check(drop_unused(graph))
    graph = check(fold_constants(graph))
    graph = check(dequantize_weights(graph))
    graph = check(drop_identity(graph))
    graph = check(clean_layout(graph))  # frees QUANTIZE behind an NCHW input's TRANSPOSE
    graph = check(absorb_boundary(graph))
    graph = check(clean_layout(graph))  # frees TRANSPOSE behind an input's QUANTIZE
    graph = check(drop_unused(graph))
    graph = check(drop_identity(graph))
    graph = check(fuse_activation(graph))
    graph = check(fuse_pad(graph))
    graph = check(conv_to_dense(graph))
    graph = validate(graph)
    return check(remove_dead_channels(graph))  # of integers; those of floats show once they are quantized


__all__ = [
    "absorb_boundary",
    "clean_layout",
    "conv_to_dense",
    "count_removed_channels",
    "dequantize_weights",
    "drop_identity",
    "drop_unused",
    "fold_constants",
    "fuse_activation",
    "fuse_pad",
    "remove_alike",
    "remove_dead_channels",
    "run_all",
    "validate",
]
