"""Maps of any width as bytes: what a program reads and writes. Bits between pixels are ones, and ignored."""

from __future__ import annotations

import numpy as np

from quantmcu_kit.ir.types import DType
from quantmcu_kit.numerics.packing import pack, packed_bytes, unpack


def run_bytes(channels: int, dtype: DType) -> int:
    """Bytes of a pixel."""
    return packed_bytes(channels, dtype.bits) if dtype.is_packed else channels


def stored(values: np.ndarray, dtype: DType) -> np.ndarray:
    """int8 [..., bytes of a pixel] of a map's values [..., channels]; bits that no channel has are ones."""
    if not dtype.is_packed:
        return values.view(np.int8)
    result = pack(values, dtype.bits)
    result[..., -1] |= np.uint8(_rubbish(values.shape[-1], dtype))
    return result.view(np.int8)


def loaded(data: np.ndarray, dtype: DType, shape: tuple[int, ...]) -> np.ndarray:
    """Values [n, \\*shape[1:]] of int8 bytes, in the array type of ``dtype``."""
    if not dtype.is_packed:
        return data.view(dtype.numpy).reshape(-1, *shape[1:])
    runs = data.view(np.uint8).reshape(-1, *shape[1:-1], run_bytes(shape[-1], dtype))
    return unpack(runs, dtype.bits, shape[-1], signed=False)


def without_rubbish(pixel: np.ndarray, dtype: DType, channels: int) -> np.ndarray:
    """Bytes of pixels [..., bytes of a pixel] with zeros where no channel is."""
    result = pixel.copy()
    if dtype.is_packed:
        result[..., -1] &= np.array(~_rubbish(channels, dtype) & 0xFF, np.uint8).view(np.int8)
    return result


def _rubbish(channels: int, dtype: DType) -> int:
    """The bits of a pixel's last byte that no channel has."""
    used = channels * dtype.bits % 8
    return 0xFF & ~((1 << used) - 1) if used else 0
