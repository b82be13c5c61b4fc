"""Quantization parameters of a .tflite tensor, checked."""

from __future__ import annotations

import numpy as np
import tflite

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.types import DType, Quant
from quantmcu_kit.tflite.reader import Reader

_SPECIFICATION = "see the TensorFlow Lite 8-bit quantization specification"
MIN_SCALE, MAX_SCALE = 1e-12, 1e12  # then in · weight / out scale <= 1e36 < 2^120, whose exponent fits an int8
UINT8_SHIFT = 128  # q_int8 = q_uint8 - 128 keeps real = scale · (q - zero_point) when the zero-point moves along


def _refuse(tensor: str, problem: str, why: str) -> QmkitError:
    return QmkitError(
        "bad-quantization",
        f"tensor {tensor!r} {problem}",
        why=why,
        hint="quantize the network again with the TFLite converter, or start from its float model",
    )


def read_quant(
    reader: Reader, parameters: tflite.QuantizationParameters | None, shape: tuple[int, ...], dtype: DType, tensor: str
) -> Quant:
    """Quantization of an 8-bit tensor as the file states it.

    One scale means the whole tensor, whatever ``quantized_dimension`` says; several are the channels' of that axis.
    Scales may be negative or zero: batch normalization folded into weights leaves such channels in real models.

    Args:
        dtype: I8 or U8.
        tensor: the tensor's name, for errors.
    Raises:
        QmkitError: ``bad-quantization``.
    """
    scale = np.empty(0) if parameters is None else reader.numbers(parameters.ScaleAsNumpy)
    if scale.size == 0:
        raise _refuse(tensor, f"is {dtype.value} but has no scale", "8-bit values mean nothing without their scale")
    if parameters.DetailsType() != tflite.QuantizationDetails.NONE:
        raise _refuse(tensor, "has a custom quantization", "supported are scales and zero-points")
    if not (np.abs(scale) <= MAX_SCALE).all():  # NaN compares as false
        raise _refuse(tensor, f"has a scale that is not a number up to {MAX_SCALE:g}", _SPECIFICATION)
    zero_point = reader.numbers(parameters.ZeroPointAsNumpy)
    if zero_point.size == 0:
        zero_point = np.zeros(1, np.int64)
    if zero_point.size not in (1, scale.size):
        raise _refuse(
            tensor,
            f"has {scale.size} scales but {zero_point.size} zero-points",
            "there is one zero-point for each scale",
        )
    limits = np.iinfo(dtype.numpy)
    if zero_point.min() < limits.min or zero_point.max() > limits.max:
        raise _refuse(tensor, f"has a zero-point outside {limits.min}..{limits.max}", _SPECIFICATION)
    axis = _channel_axis(scale.size, int(parameters.QuantizedDimension()), shape, tensor)
    zero_points = np.broadcast_to(zero_point, scale.shape).astype(np.int32)
    return Quant(scale.astype(np.float32), zero_points, axis)


def _channel_axis(scales: int, axis: int, shape: tuple[int, ...], tensor: str) -> int | None:
    if scales == 1:
        return None
    if not 0 <= axis < len(shape) or shape[axis] != scales:
        raise _refuse(
            tensor,
            f"has {scales} scales along axis {axis} of its shape {list(shape)}",
            "per-channel quantization needs one scale for each channel of that axis",
        )
    return axis


def shift_quant(quant: Quant) -> Quant:
    """The int8 quantization that means the same as a uint8 one when the data are shifted by -128."""
    return Quant(quant.scale, quant.zero_point - UINT8_SHIFT, quant.axis)


def shift_data(data: np.ndarray) -> np.ndarray:
    """int8 array of uint8 ``data`` minus 128."""
    return (data ^ np.uint8(UINT8_SHIFT)).view(np.int8)
