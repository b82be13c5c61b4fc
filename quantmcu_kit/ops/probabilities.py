"""The quantization of SOFTMAX and LOGISTIC outputs, which TFLite's kernels fix: real = (q + 128) / 256."""

from __future__ import annotations

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Tensor

_SCALE = 1 / 256
_ZERO_POINT = -128
_TOLERANCE = 1e-3 * _SCALE  # TFLite's


def check_probabilities(op: str, output: Tensor) -> None:
    """Raise ``bad-quantization`` unless ``output`` has scale 1/256 and zero-point -128."""
    scale, zero_point = float(output.quant.s), output.quant.z
    if zero_point != _ZERO_POINT or abs(scale - _SCALE) > _TOLERANCE:
        raise QmkitError(
            "bad-quantization",
            f"{op} output {output.name!r} has scale {scale:g} and zero-point {zero_point}",
            why=f"its kernel writes probabilities with scale 1/256 and zero-point {_ZERO_POINT} (0 for uint8)",
            hint="quantize the network again with the TFLite converter",
        )
