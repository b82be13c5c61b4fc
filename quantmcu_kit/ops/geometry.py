"""Window arithmetic shared by convolutions and pooling: SAME/VALID padding, output sizes, window views."""

from __future__ import annotations

import numpy as np
import tflite

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.types import Activation, DType, Padding, Size

_ACTIVATIONS = {
    tflite.ActivationFunctionType.NONE: Activation.NONE,
    tflite.ActivationFunctionType.RELU: Activation.RELU,
    tflite.ActivationFunctionType.RELU6: Activation.RELU6,
    tflite.ActivationFunctionType.RELU_N1_TO_1: Activation.RELU_N1_TO_1,
}


MAX_WINDOW = 1024  # pixels along one axis, unless the map is larger: padding stays of the order of the map


def decode_activation(code: int) -> Activation:
    """The fused activation of a .tflite operator; raises ``unsupported-op`` for TANH and SIGN_BIT."""
    if code not in _ACTIVATIONS:
        raise QmkitError(
            "unsupported-op",
            f"fused activation {code} is not supported",
            why="integer kernels clamp: NONE, RELU, RELU6 and RELU_N1_TO_1",
            hint="export the activation as an operator of its own",
        )
    return _ACTIVATIONS[code]


def map_fields(sizes: tuple[int, ...], dtype: DType) -> tuple[tuple[str, int], ...]:
    """The C struct ``qmcu_shape_t`` of a map of height, width and channels ``sizes``."""
    return (*zip("hwc", sizes, strict=True), ("bits", dtype.bits))


def span(kernel: int, dilation: int) -> int:
    """Input pixels that a dilated kernel covers along one axis."""
    return (kernel - 1) * dilation + 1


def decode_padding(code: int, image: Size, kernel: Size, stride: Size, dilation: Size) -> Padding:
    """Explicit padding of TFLite's SAME (the odd pixel goes to the bottom and right) or VALID; raises ``bad-model``."""
    if code == tflite.Padding.VALID:
        return Padding()
    if code != tflite.Padding.SAME or min(stride.h, stride.w) < 1:
        raise QmkitError(
            "bad-model",
            f"padding {code} with stride {stride.h}x{stride.w} has no meaning",
            why="padding is SAME or VALID, and strides are positive",
        )

    def along(size: int, window: int, step: int) -> tuple[int, int]:
        outputs = -(-size // step)
        total = max((outputs - 1) * step + window - size, 0)
        return total // 2, total - total // 2

    top, bottom = along(image.h, span(kernel.h, dilation.h), stride.h)
    left, right = along(image.w, span(kernel.w, dilation.w), stride.w)
    return Padding(top, bottom, left, right)


def output_size(image: Size, kernel: Size, stride: Size, dilation: Size, padding: Padding) -> Size:
    """Size of the output map; raises ``bad-shape`` when the window does not fit into the padded input."""
    window = Size(span(kernel.h, dilation.h), span(kernel.w, dilation.w))
    height = image.h + padding.top + padding.bottom - window.h
    width = image.w + padding.left + padding.right - window.w
    is_positive = min(kernel.h, kernel.w, stride.h, stride.w, dilation.h, dilation.w) >= 1
    is_small = window.h <= max(image.h, MAX_WINDOW) and window.w <= max(image.w, MAX_WINDOW)
    if not (is_positive and is_small and height >= 0 and width >= 0):
        raise QmkitError(
            "bad-shape",
            f"a {kernel.h}x{kernel.w} window with stride {stride.h}x{stride.w} and dilation {dilation.h}x{dilation.w} "
            f"does not fit a {image.h}x{image.w} map",
            why="the window must lie within the padded input; its size, stride and dilation must be positive",
        )
    return Size(height // stride.h + 1, width // stride.w + 1)


def pad_map(x: np.ndarray, padding: Padding, value: float) -> np.ndarray:
    """x [n, h, w, c] with ``padding`` filled with ``value``; x itself when nothing is padded."""
    if padding.is_zero:
        return x
    sides = ((0, 0), (padding.top, padding.bottom), (padding.left, padding.right), (0, 0))
    return np.pad(x, sides, constant_values=value)


def windows(x: np.ndarray, kernel: Size, stride: Size, dilation: Size) -> np.ndarray:
    """View of a padded map x [n, h, w, c] as [n, out_h, out_w, kernel_h, kernel_w, c]; nothing is copied."""
    n, h, w, c = x.shape
    out = output_size(Size(h, w), kernel, stride, dilation, Padding())
    sn, sh, sw, sc = x.strides
    return np.lib.stride_tricks.as_strided(
        x,
        (n, out.h, out.w, kernel.h, kernel.w, c),
        (sn, sh * stride.h, sw * stride.w, sh * dilation.h, sw * dilation.w, sc),
        writeable=False,
    )
