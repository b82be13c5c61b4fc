"""Cases of CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, pooling, MEAN and PAD."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np
import tflite

from tests.ops.cases import Case
from tests.support.tflite_builder import TensorDef, constant, options

SAME, VALID = tflite.Padding.SAME, tflite.Padding.VALID
NONE = tflite.ActivationFunctionType.NONE
RELU = tflite.ActivationFunctionType.RELU
RELU6 = tflite.ActivationFunctionType.RELU6
RELU_N1_TO_1 = tflite.ActivationFunctionType.RELU_N1_TO_1

TWO_ROUNDINGS = 0.53  # steps: a half, and a half divided by 2^5 or more, since effective scales are below 2^-5


def _rng(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode()))


def _input(shape: tuple[int, ...], dtype: str = "int8", scale: float = 0.047, zero_point: int = -11) -> TensorDef:
    """A feature map; for uint8 the zero-point means the same values as the int8 one."""
    return TensorDef("x", shape, dtype, scale, zero_point + (128 if dtype == "uint8" else 0))


def _weights(
    name: str, shape: tuple[int, ...], axis: int, dtype: str, per_channel: bool, zero_point: int | None = None
) -> TensorDef:
    rng = _rng(name + "/weights")
    if dtype == "uint8":
        zero_point = 117 if zero_point is None else zero_point
        return constant("w", rng.integers(0, 256, shape), dtype, scale=0.0071, zero_point=zero_point)
    scale = rng.uniform(0.002, 0.02, shape[axis]).astype(np.float32) if per_channel else np.float32(0.0093)
    return constant("w", rng.integers(-127, 128, shape), dtype, scale=scale, zero_point=zero_point or 0, axis=axis)


def _bias(name: str, x: TensorDef, weights: TensorDef, channels: int) -> TensorDef:
    scale = np.broadcast_to(np.float32(x.scale) * np.asarray(weights.scale, np.float32), (channels,))
    values = _rng(name + "/bias").integers(-4000, 4000, channels)
    one_scale = np.ndim(weights.scale) == 0
    return constant("b", values, "int32", scale=scale[:1] if one_scale else scale)


def _out_size(size: int, kernel: int, stride: int, dilation: int, padding: int) -> int:
    window = (kernel - 1) * dilation + 1
    return -(-size // stride) if padding == SAME else (size - window) // stride + 1


def _output(shape: tuple[int, ...], x: TensorDef, weights: TensorDef, taps: int) -> TensorDef:
    """An output whose scale makes random accumulators fill, and sometimes leave, the int8 range."""
    deviation = 60 * 60 * taps**0.5 * float(np.mean(weights.scale)) * x.scale
    return TensorDef("y", shape, x.dtype, np.float32(deviation / 50), 7 + (128 if x.dtype == "uint8" else 0))


def _conv(
    name: str,
    image: tuple[int, int, int],
    kernel: tuple[int, int] = (3, 3),
    out: int = 8,
    *,
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    padding: int = SAME,
    activation: int = NONE,
    bias: bool = True,
    per_channel: bool = True,
    dtype: str = "int8",
    zero_point: int = -11,
    multiplier: int = 0,
    output_scale: float | None = None,
) -> Case:
    """CONV_2D, or DEPTHWISE_CONV_2D when ``multiplier`` is given; TFLite's CONV_2D cannot do without bias."""
    height, width, channels = image
    x = _input((1, *image), dtype, zero_point=zero_point)
    shape = (1, *kernel, channels * multiplier) if multiplier else (out, *kernel, channels)
    out = channels * multiplier if multiplier else out
    weights = _weights(name, shape, 3 if multiplier else 0, dtype, per_channel)
    size = [_out_size(*along, padding) for along in zip((height, width), kernel, stride, dilation, strict=True)]
    taps = kernel[0] * kernel[1] * (1 if multiplier else channels)
    y = _output((1, *size, out), x, weights, taps)
    if output_scale is not None:
        y = TensorDef("y", y.shape, dtype, output_scale, y.zero_point)
    common = {
        "padding": padding,
        "stride_h": stride[0],
        "stride_w": stride[1],
        "dilation_h_factor": dilation[0],
        "dilation_w_factor": dilation[1],
        "fused_activation_function": activation,
    }
    inputs = (x, weights, _bias(name, x, weights, out)) if bias else (x, weights)
    if multiplier:
        chosen = options("DepthwiseConv2DOptions", depth_multiplier=multiplier, **common)
        return Case(name, "DEPTHWISE_CONV_2D", inputs, y, chosen, 3, bound=TWO_ROUNDINGS)
    return Case(name, "CONV_2D", inputs, y, options("Conv2DOptions", **common), 3, bound=TWO_ROUNDINGS)


def _conv_cases() -> Iterator[Case]:
    yield _conv("3x3", (7, 6, 5))
    yield _conv("3x3-stride2-same-even", (8, 8, 3), stride=(2, 2), activation=RELU6)
    yield _conv("3x3-stride2-same-odd", (9, 7, 3), stride=(2, 2), activation=RELU)
    yield _conv("3x3-stride3-valid", (11, 10, 4), stride=(3, 3), padding=VALID, activation=RELU_N1_TO_1)
    yield _conv("stride-1x2", (7, 9, 4), stride=(1, 2))
    yield _conv("1x1", (5, 4, 16), (1, 1), 33)
    yield _conv("1x1-stride2", (7, 5, 9), (1, 1), 6, stride=(2, 2), activation=RELU6)
    yield _conv("1x1-one-channel", (4, 4, 1), (1, 1), 1)
    yield _conv("kernel-1x5", (6, 9, 3), (1, 5), 7)
    yield _conv("kernel-4x2-even", (9, 8, 3), (4, 2), 7, stride=(2, 1))
    yield _conv("kernel-5x3-valid", (8, 7, 2), (5, 3), 5, padding=VALID)
    yield _conv("kernel-larger-than-image", (3, 3, 4), (5, 5), 4)
    yield _conv("window-covers-image", (6, 6, 4), (6, 6), 10, padding=VALID)
    yield _conv("dilation2", (9, 9, 3), dilation=(2, 2))
    yield _conv("dilation-3x1-valid", (11, 9, 3), (3, 3), 5, dilation=(3, 1), padding=VALID)
    yield _conv("dilation2-stride2", (12, 11, 3), (3, 3), 5, dilation=(2, 2), stride=(2, 2))
    yield _conv("per-tensor", (6, 6, 4), per_channel=False)
    yield _conv("one-output-channel", (6, 6, 4), out=1)
    yield _conv("zero-point-low", (6, 6, 4), zero_point=-128, activation=RELU)
    yield _conv("zero-point-high", (6, 6, 4), zero_point=127)
    yield _conv("big-k", (4, 4, 300), (3, 3), 5)
    yield _conv("wide", (3, 3, 37), (3, 3), 70)
    yield _conv("multiplier-above-one", (5, 5, 3), output_scale=0.0001)
    yield _conv("multiplier-tiny", (5, 5, 8), output_scale=30.0)
    yield _conv("uint8", (7, 7, 5), dtype="uint8", per_channel=False, activation=RELU6)
    yield _conv("uint8-1x1", (5, 6, 12), (1, 1), 9, dtype="uint8", per_channel=False)
    yield _conv("uint8-stride2", (8, 7, 3), stride=(2, 2), dtype="uint8", per_channel=False)
    yield _conv("uint8-big-k", (3, 3, 280), dtype="uint8", per_channel=False)


def _depthwise_cases() -> Iterator[Case]:
    yield _conv("3x3", (7, 6, 5), multiplier=1)
    yield _conv("3x3-stride2-same-even", (8, 8, 6), stride=(2, 2), activation=RELU6, multiplier=1)
    yield _conv("3x3-stride2-same-odd", (9, 7, 8), stride=(2, 2), activation=RELU, multiplier=1)
    yield _conv("3x3-stride3-valid", (11, 10, 4), stride=(3, 3), padding=VALID, activation=RELU_N1_TO_1, multiplier=1)
    yield _conv("many-channels", (5, 4, 67), multiplier=1)
    yield _conv("kernel-10x4", (12, 9, 3), (10, 4), stride=(2, 2), multiplier=1)
    yield _conv("kernel-1x3", (5, 6, 32), (1, 3), multiplier=1)
    yield _conv("kernel-1x1", (4, 4, 9), (1, 1), multiplier=1)
    yield _conv("kernel-7x7", (7, 7, 4), (7, 7), multiplier=1)
    yield _conv("window-covers-image", (4, 4, 40), (4, 4), padding=VALID, multiplier=1)
    yield _conv("dilation2", (9, 9, 3), dilation=(2, 2), multiplier=1)
    yield _conv("dilation-1x3-valid", (8, 11, 3), dilation=(1, 3), padding=VALID, multiplier=1)
    yield _conv("one-channel", (7, 7, 1), multiplier=1)
    yield _conv("one-channel-multiplier8", (9, 8, 1), stride=(2, 2), activation=RELU, multiplier=8)
    yield _conv("one-channel-uint8", (6, 7, 1), multiplier=8, dtype="uint8", per_channel=False)
    yield _conv("multiplier2", (6, 7, 3), multiplier=2)
    yield _conv("multiplier2-blocks", (4, 4, 21), multiplier=2, stride=(2, 2))
    yield _conv("multiplier8", (5, 5, 5), multiplier=8, activation=RELU6)
    yield _conv("multiplier40", (3, 3, 2), multiplier=40)
    yield _conv("no-bias", (6, 6, 4), bias=False, multiplier=1)
    yield _conv("per-tensor", (6, 6, 4), per_channel=False, multiplier=1)
    yield _conv("zero-point-low", (6, 6, 4), zero_point=-128, multiplier=1)
    yield _conv("zero-point-high", (6, 6, 4), zero_point=127, multiplier=1)
    yield _conv("uint8", (7, 6, 5), dtype="uint8", per_channel=False, activation=RELU6, multiplier=1)
    yield _conv("uint8-many-channels", (5, 5, 48), dtype="uint8", per_channel=False, stride=(2, 2), multiplier=1)
    yield _conv("uint8-multiplier2", (5, 5, 6), dtype="uint8", per_channel=False, multiplier=2)


def _dense(
    name: str,
    shape: tuple[int, ...],
    out: int,
    *,
    taps: int | None = None,
    activation: int = NONE,
    bias: bool = True,
    per_channel: bool = False,
    keep_num_dims: bool = False,
    dtype: str = "int8",
    weight_zero: int | None = None,
    scale: float | None = None,
) -> Case:
    x = _input((1, *shape), dtype)
    taps = int(np.prod(shape)) if taps is None else taps
    weights = _weights(name, (out, taps), 0, dtype, per_channel, weight_zero)
    rows = int(np.prod(shape)) // taps
    y_shape = (1, *shape[:-1], out) if keep_num_dims else (rows, out)
    y = _output(y_shape, x, weights, taps)
    if scale is not None:  # equal, exactly representable scales make accumulators fall on halves
        x = TensorDef("x", x.shape, dtype, scale, x.zero_point)
        weights = constant("w", weights.data, dtype, scale=scale, zero_point=weights.zero_point)
        y = TensorDef("y", y_shape, dtype, scale, y.zero_point)
    inputs = (x, weights, _bias(name, x, weights, out) if bias else None)
    chosen = options("FullyConnectedOptions", fused_activation_function=activation, keep_num_dims=keep_num_dims)
    return Case(name, "FULLY_CONNECTED", inputs, y, chosen, 5)


def _dense_cases() -> Iterator[Case]:
    yield _dense("vector", (64,), 10)
    yield _dense("map", (3, 4, 5), 7, activation=RELU)
    yield _dense("odd-sizes", (131,), 45, activation=RELU6)
    yield _dense("one-output", (16,), 1)
    yield _dense("one-input", (1,), 5)
    yield _dense("no-bias", (33,), 6, bias=False)
    yield _dense("per-channel", (70,), 200, per_channel=True)
    yield _dense("per-channel-one-output", (20,), 1, per_channel=True)
    yield _dense("keep-num-dims", (1, 4, 6), 9, taps=6, keep_num_dims=True)
    yield _dense("keep-num-dims-per-channel", (3, 12), 9, taps=12, keep_num_dims=True, per_channel=True)
    yield _dense("relu-n1-to-1", (24,), 12, activation=RELU_N1_TO_1)
    yield _dense("big-k", (3000,), 11)
    yield _dense("weights-with-zero-point", (40,), 12, weight_zero=-9)
    yield _dense("halves", (16,), 200, scale=0.015625)
    yield _dense("uint8", (96,), 17, dtype="uint8")
    yield _dense("uint8-halves", (16,), 200, dtype="uint8", scale=0.015625)


def _pool(
    op: str,
    name: str,
    image: tuple[int, int, int],
    window: tuple[int, int] = (2, 2),
    stride: tuple[int, int] = (2, 2),
    *,
    padding: int = VALID,
    activation: int = NONE,
    dtype: str = "int8",
) -> Case:
    x = _input((1, *image), dtype)
    size = [_out_size(*along, 1, padding) for along in zip(image[:2], window, stride, strict=True)]
    y = TensorDef("y", (1, *size, image[2]), dtype, x.scale, x.zero_point)
    chosen = options(
        "Pool2DOptions",
        padding=padding,
        stride_h=stride[0],
        stride_w=stride[1],
        filter_height=window[0],
        filter_width=window[1],
        fused_activation_function=activation,
    )
    return Case(name, op, (x,), y, chosen, 2)


def _pool_cases(op: str) -> Iterator[Case]:
    yield _pool(op, "2x2", (6, 8, 5))
    yield _pool(op, "2x2-odd", (7, 5, 33))
    yield _pool(op, "2x2-same-odd", (7, 5, 4), padding=SAME)
    yield _pool(op, "3x3-same", (6, 7, 3), (3, 3), (1, 1), padding=SAME, activation=RELU)
    yield _pool(op, "3x3-stride2-same", (8, 8, 40), (3, 3), (2, 2), padding=SAME)
    yield _pool(op, "3x3-stride3-valid", (10, 9, 4), (3, 3), (3, 3), activation=RELU6)
    yield _pool(op, "4x1", (9, 4, 3), (4, 1), (2, 1), padding=SAME)
    yield _pool(op, "global", (7, 6, 70), (7, 6), (1, 1), activation=RELU_N1_TO_1)
    yield _pool(op, "window-larger-than-image", (3, 3, 4), (5, 5), (2, 2), padding=SAME)
    yield _pool(op, "1x1-stride2", (5, 5, 4), (1, 1), (2, 2))
    yield _pool(op, "uint8", (6, 6, 8), dtype="uint8")
    yield _pool(op, "uint8-same", (5, 7, 8), (4, 4), (1, 1), padding=SAME, activation=RELU6, dtype="uint8")


def _mean(
    name: str,
    shape: tuple[int, ...],
    axes: tuple[int, ...],
    *,
    keep_dims: bool = False,
    output: tuple[float, int] | None = None,
    dtype: str = "int8",
) -> Case:
    """MEAN with ``output`` (scale, int8 zero-point), by default the input's."""
    x = _input((1, *shape), dtype)
    rank = len(x.shape)
    reduced = {axis % rank for axis in axes}
    sizes = [1 if axis in reduced else size for axis, size in enumerate(x.shape) if keep_dims or axis not in reduced]
    scale, zero_point = (x.scale, -11) if output is None else output
    y = TensorDef("y", tuple(sizes), dtype, scale, zero_point + (128 if dtype == "uint8" else 0))
    inputs = (x, constant("axes", axes, "int32"))
    # An output scale beyond half the input's makes the first of the two roundings visible.
    return Case(name, "MEAN", inputs, y, options("ReducerOptions", keep_dims=keep_dims), 2, bound=0.8)


def _mean_cases() -> Iterator[Case]:
    yield _mean("hw", (7, 7, 20), (1, 2))
    yield _mean("hw-keep-dims", (7, 5, 40), (1, 2), keep_dims=True)
    yield _mean("hw-rescaled", (6, 5, 20), (1, 2), output=(0.019, 5))
    yield _mean("hw-rescaled-keep-dims", (3, 3, 70), (2, 1), keep_dims=True, output=(0.02, -60))
    yield _mean("hw-wider-output", (4, 4, 8), (1, 2), output=(0.5, 3))
    yield _mean("hw-power-of-two", (4, 4, 64), (1, 2), output=(0.047 / 8, -128))
    yield _mean("h", (6, 5, 4), (1,))
    yield _mean("w", (6, 5, 4), (2,), output=(0.03, 0))
    yield _mean("c", (6, 5, 37), (3,))
    yield _mean("c-keep-dims-rescaled", (4, 3, 9), (-1,), keep_dims=True, output=(0.011, 20))
    yield _mean("wc", (4, 3, 9), (2, 3))
    yield _mean("all", (4, 3, 9), (1, 2, 3), output=(0.013, 1))
    yield _mean("negative-axes", (5, 5, 6), (-3, -2))
    yield _mean("repeated-axes", (5, 5, 6), (1, 2, 1))
    yield _mean("apart-with-unit-between", (5, 1, 6), (1, 3))
    yield _mean("unit-axes", (1, 1, 50), (1, 2))
    yield _mean("unit-axes-rescaled", (1, 1, 50), (1, 2), output=(0.03, 4))
    yield _mean("sequence", (12, 16), (1,))
    yield _mean("large", (40, 40, 3), (1, 2), output=(0.006, -5))
    yield _mean("uint8", (7, 7, 20), (1, 2), dtype="uint8")
    yield _mean("uint8-rescaled", (6, 4, 20), (1, 2), keep_dims=True, output=(0.021, 9), dtype="uint8")


def _pad(name: str, shape: tuple[int, ...], paddings: list[tuple[int, int]], dtype: str = "int8") -> Case:
    x = _input((1, *shape), dtype)
    sizes = tuple(size + sum(sides) for size, sides in zip(x.shape, paddings, strict=True))
    y = TensorDef("y", sizes, dtype, x.scale, x.zero_point)
    return Case(name, "PAD", (x, constant("paddings", paddings, "int32")), y, options("PadOptions"), 2)


def _pad_cases() -> Iterator[Case]:
    yield _pad("one-around", (4, 5, 3), [(0, 0), (1, 1), (1, 1), (0, 0)])
    yield _pad("bottom-right", (4, 5, 3), [(0, 0), (0, 1), (0, 1), (0, 0)])
    yield _pad("uneven", (4, 5, 3), [(0, 0), (2, 0), (1, 3), (0, 0)])
    yield _pad("channels", (4, 5, 3), [(0, 0), (0, 0), (0, 0), (2, 3)])
    yield _pad("everything", (3, 2, 5), [(0, 0), (1, 2), (3, 1), (1, 4)])
    yield _pad("nothing", (3, 2, 5), [(0, 0), (0, 0), (0, 0), (0, 0)])
    yield _pad("three-axes", (6, 5), [(0, 0), (2, 1), (0, 3)])
    yield _pad("two-axes", (7,), [(0, 0), (2, 3)])
    yield _pad("uint8", (4, 5, 3), [(0, 0), (1, 1), (1, 1), (0, 0)], dtype="uint8")


CASES: tuple[Case, ...] = (
    *_conv_cases(),
    *_depthwise_cases(),
    *_dense_cases(),
    *_pool_cases("AVERAGE_POOL_2D"),
    *_pool_cases("MAX_POOL_2D"),
    *_mean_cases(),
    *_pad_cases(),
)
