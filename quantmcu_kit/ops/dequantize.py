"""DEQUANTIZE: integers or float16 to float32. Folded into constants and into the network's ports, never computed."""

from __future__ import annotations

import numpy as np

from quantmcu_kit.ops.spec import NoAttrs, OpSpec, no_attrs, same_shape


def float_ref(attrs: NoAttrs, x: np.ndarray) -> np.ndarray:
    """The real values as float32."""
    return x.astype(np.float32)


SPEC = OpSpec("DEQUANTIZE", NoAttrs, no_attrs, same_shape, float_ref)
