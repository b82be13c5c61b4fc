"""What a kernel beside an operator's portable one must provide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from quantmcu_kit.ops.spec import KernelCall


@dataclass(frozen=True)
class Variant:
    """A kernel that computes what the portable kernel of some operators does, byte for byte, otherwise arranged.

    Attributes:
        name: stem of ``kernels/<name>.c``; what ``ir.graph.Node.kernel`` holds.
        ops: the operators, by TFLite's names.
        supports: (op's integer parameters) -> whether it runs them: shapes, widths, and every bound that weights or
            requantization have to meet.
        emit: (op's integer parameters) -> the kernel calls, whose constants are arranged for it.
    """

    name: str
    ops: tuple[str, ...]
    supports: Callable[[Any], bool]
    emit: Callable[[Any], tuple[KernelCall, ...]]
