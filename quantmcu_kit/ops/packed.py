"""Maps and weights of 4 and 2 bits, which the generated C does not take."""

from __future__ import annotations

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.types import DType


def refuse_packed(op: str, *dtypes: DType) -> None:
    """Raise ``unsupported-precision`` where a map or the weights have less than 8 bits: no C kernel takes them."""
    packed = [dtype for dtype in dtypes if dtype.is_packed]
    if packed:
        raise QmkitError(
            "unsupported-precision",
            f"{op} with {' and '.join(sorted({dtype.value for dtype in packed}))} cannot be generated",
            why="the C kernels take feature maps and weights of 8 bits",
            hint="--bits 8",
        )
