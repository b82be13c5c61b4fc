"""The quantization of SOFTMAX and LOGISTIC outputs, which TFLite's kernels fix: real = (q + 128) / 256.

Below 8 bits likewise real = q / 2^bits.
"""

from __future__ import annotations

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Tensor

_TOLERANCE = 1e-3  # of the scale, TFLite's


def check_probabilities(op: str, output: Tensor) -> None:
    """Raise ``bad-quantization`` unless ``output`` has scale 1/256 and zero-point -128 (1/2^bits and 0 below 8)."""
    scale, zero_point = float(output.quant.s), output.quant.z
    levels, lowest = 1 << output.dtype.bits, output.dtype.low
    if zero_point != lowest or abs(scale * levels - 1) > _TOLERANCE:
        raise QmkitError(
            "bad-quantization",
            f"{op} output {output.name!r} has scale {scale:g} and zero-point {zero_point}",
            why=f"its kernel writes probabilities with scale 1/{levels} and zero-point {lowest} (0 for uint8)",
            hint="quantize the network again with the TFLite converter",
        )
