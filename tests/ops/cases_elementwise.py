"""Cases of the elementwise, table and data-movement operators."""

from __future__ import annotations

import dataclasses
import math
import zlib
from collections.abc import Iterator

import numpy as np
import tflite

from tests.ops.cases import Case
from tests.support.tflite_builder import Options, TensorDef, constant, options

NONE = tflite.ActivationFunctionType.NONE
RELU = tflite.ActivationFunctionType.RELU
RELU6 = tflite.ActivationFunctionType.RELU6
RELU_N1_TO_1 = tflite.ActivationFunctionType.RELU_N1_TO_1

Shape = tuple[int, ...]
Quantization = tuple[float, int]  # scale, zero-point of int8

MAP = (1, 5, 6, 7)
CHANNELS = (1, 1, 1, 7)
INPUT = (0.047, -11)
PROBABILITY = (1 / 256, -128)

ONE_ROUNDING = 0.51  # steps
SOFTMAX_ERROR = 0.52  # a half, and the fixed-point exponential


def _map(name: str, shape: Shape, quantization: Quantization = INPUT, dtype: str = "int8") -> TensorDef:
    """A feature map; for uint8 the zero-point means the same values as the int8 one."""
    scale, zero_point = quantization
    return TensorDef(name, shape, dtype, np.float32(scale), zero_point + (128 if dtype == "uint8" else 0))


def _two_roundings(ratio: float) -> float:
    """Bound of a multiplication by ``ratio``: half a step, and what the shift leaves of the first rounding's half."""
    shift = math.frexp(ratio)[1]
    return ONE_ROUNDING + (2.0 ** (shift - 1) if shift < 0 else 0)


def _filled(tensor: TensorDef, seed: str) -> TensorDef:
    """The tensor as a constant of random values."""
    limits = np.iinfo(tensor.dtype)
    rng = np.random.default_rng(zlib.crc32(seed.encode()))
    return dataclasses.replace(tensor, data=rng.integers(limits.min, limits.max, tensor.shape, endpoint=True))


def _binary(
    op: str,
    name: str,
    a: Shape,
    b: Shape,
    out: Quantization,
    *,
    scales: tuple[Quantization, Quantization] = (INPUT, (0.031, 20)),
    activation: int = NONE,
    constants: str = "",
    dtype: str = "int8",
) -> Case:
    """ADD, SUB or MUL; ``constants`` names the operand that is constant."""
    operands = [_map("a", a, scales[0], dtype), _map("b", b, scales[1], dtype)]
    operands = [_filled(tensor, op + name) if tensor.name in constants else tensor for tensor in operands]
    table = options(
        {"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions"}[op], fused_activation_function=activation
    )
    output = _map("y", np.broadcast_shapes(a, b), out, dtype)
    bound = _two_roundings(scales[0][0] * scales[1][0] / out[0]) if op == "MUL" else ONE_ROUNDING
    return Case(name, op, tuple(operands), output, table, 2, bound=bound)


def _binary_cases(op: str, out: Quantization) -> Iterator[Case]:
    """``out`` is a quantization that random operands fill, and sometimes leave."""
    scale, zero_point = out
    yield _binary(op, "maps", MAP, MAP, out)
    yield _binary(op, "vectors", (1, 70), (1, 70), out)
    yield _binary(op, "map-channels", MAP, CHANNELS, out)
    yield _binary(op, "channels-map", CHANNELS, MAP, out)
    yield _binary(op, "map-scalar", MAP, (1, 1, 1, 1), out)
    yield _binary(op, "scalar-map", (1, 1, 1, 1), MAP, out)
    yield _binary(op, "map-constant-map", MAP, MAP, out, constants="b")
    yield _binary(op, "map-constant-channels", MAP, (7,), out, constants="b")
    yield _binary(op, "constant-channels-map", CHANNELS, MAP, out, constants="a")
    yield _binary(op, "map-constant-scalar", MAP, (), out, constants="b")
    yield _binary(op, "constant-scalar-map", (1,), MAP, out, constants="a")
    yield _binary(op, "relu", MAP, MAP, (scale, -128), activation=RELU)
    yield _binary(op, "relu6", MAP, MAP, (0.02, -30), activation=RELU6)
    yield _binary(op, "relu-n1-to-1", MAP, MAP, (0.02, -30), activation=RELU_N1_TO_1)
    yield _binary(op, "equal-scales", MAP, MAP, out, scales=(INPUT, INPUT))
    yield _binary(op, "far-scales", MAP, MAP, (scale * 8, zero_point), scales=(INPUT, (3.7, 127)))
    yield _binary(op, "extreme-zero-points", MAP, MAP, (scale, 127), scales=((0.1, -128), (0.02, 127)))
    yield _binary(op, "uint8", MAP, MAP, out, dtype="uint8")
    yield _binary(op, "uint8-constant-channels", MAP, CHANNELS, out, constants="b", dtype="uint8")


def _table(op: str, name: str, x: Quantization, y: Quantization, version: int = 2, dtype: str = "int8") -> Case:
    """An operator on single values, over all of them and some more."""
    bound = ONE_ROUNDING if op == "LOGISTIC" else _two_roundings(x[0] / y[0])
    shape = (1, 9, 11, 13)
    tensors = _map("x", shape, x, dtype), _map("y", shape, y, dtype)
    # QUANTIZE writes integers only
    return Case(name, op, tensors[:1], tensors[1], None, version, bound=bound, has_float_kernel=op != "QUANTIZE")


def _rescaling_cases(op: str, version: int = 2) -> Iterator[Case]:
    yield _table(op, "same", INPUT, INPUT, version)
    yield _table(op, "wider", (0.05, -128), (0.013, -100), version)
    yield _table(op, "narrower", (0.013, 64), (0.05, 5), version)
    yield _table(op, "a-little", (0.05, 0), (0.0503, -1), version)
    yield _table(op, "much-narrower", (0.002, 100), (0.5, -128), version)


def _logistic_cases() -> Iterator[Case]:
    for name, quantization in (("fine", (0.001, 7)), ("usual", INPUT), ("coarse", (0.9, -30)), ("huge", (40.0, 0))):
        yield _table("LOGISTIC", name, quantization, PROBABILITY)
    yield _table("LOGISTIC", "uint8", INPUT, PROBABILITY, 1, "uint8")


def _softmax(name: str, shape: Shape, x: Quantization = INPUT, beta: float = 1.0, dtype: str = "int8") -> Case:
    tensors = (_map("x", shape, x, dtype), _map("y", shape, PROBABILITY, dtype))
    table = options("SoftmaxOptions", beta=beta)
    return Case(name, "SOFTMAX", tensors[:1], tensors[1], table, 2, bound=SOFTMAX_ERROR, float_tolerance=1e-6)


def _softmax_cases() -> Iterator[Case]:
    yield _softmax("two", (1, 2))
    yield _softmax("one", (1, 1))
    yield _softmax("ten", (1, 10), (0.13, 96))
    yield _softmax("many", (1, 511), (0.13, -32))  # TFLite's kernel aborts where the exponentials add up to 512
    yield _softmax("map", (1, 4, 3, 5))
    yield _softmax("sequence", (1, 6, 4), (0.5, 10))
    yield _softmax("flat", (1, 3, 30), (0.0001, 0))
    yield _softmax("steep", (1, 3, 30), (4.1, 0))
    yield _softmax("one-hot", (1, 3, 30), (70.0, 0))
    yield _softmax("beta", (1, 3, 30), beta=0.3)
    yield _softmax("uint8", (1, 3, 30), dtype="uint8")


def _concatenation(
    name: str, shapes: list[Shape], axis: int, quantizations: list[Quantization] | None = None, **tensor: str
) -> Case:
    """Inputs named x0, x1, ...; without ``quantizations`` all are alike, else the last one is the output's."""
    *sources, output = quantizations or [INPUT] * (len(shapes) + 1)
    inputs = tuple(
        _map(f"x{index}", shape, source, **tensor)
        for index, (shape, source) in enumerate(zip(shapes, sources, strict=True))
    )
    sizes = list(shapes[0])
    sizes[axis] = sum(shape[axis] for shape in shapes)
    return Case(
        name,
        "CONCATENATION",
        inputs,
        _map("y", tuple(sizes), output, **tensor),
        options("ConcatenationOptions", axis=axis),
        2 if tensor.get("dtype", "int8") == "int8" else 1,
    )


def _concatenation_cases() -> Iterator[Case]:
    yield _concatenation("channels", [(1, 4, 5, 3), (1, 4, 5, 8)], 3)
    yield _concatenation("last", [(1, 4, 5, 3), (1, 4, 5, 8)], -1)
    yield _concatenation("width", [(1, 4, 5, 3), (1, 4, 2, 3)], 2)
    yield _concatenation("height", [(1, 4, 5, 3), (1, 1, 5, 3), (1, 2, 5, 3)], 1)
    yield _concatenation("anchors", [(1, 90, 4), (1, 16, 4), (1, 4, 4), (1, 2, 4)], 1)
    yield _concatenation("vectors", [(1, 7), (1, 5)], 1)
    yield _concatenation("one", [(1, 4, 5, 3)], 3)
    yield _concatenation("uint8", [(1, 4, 5, 3), (1, 4, 5, 8)], 3, dtype="uint8")
    different = [(0.05, -7), (0.11, 30), (0.071, 0), (0.08, -20)]
    yield _concatenation("uint8-rescaled", [(1, 9, 9, size) for size in (3, 8, 4)], 3, different, dtype="uint8")
    yield _with_constant(
        _concatenation("uint8-rescaled-constant", [(1, 9, 4), (1, 9, 2)], 2, different[:3], dtype="uint8")
    )
    yield _with_constant(_concatenation("constant", [(1, 4, 5, 3), (1, 4, 5, 8)], 3))


def _with_constant(case: Case) -> Case:
    """The case with its first input constant."""
    return dataclasses.replace(case, inputs=(_filled(case.inputs[0], case.name), *case.inputs[1:]))


def _moved(
    op: str, name: str, x: Shape, y: Shape, operand: list[int] | None, table: Options | None, dtype: str = "int8"
) -> Case:
    """An operator that moves values; ``operand`` is its int32 input."""
    extra = () if operand is None else (constant("operand", operand, "int32"),)
    # TFLite refuses versions that it never had: those of TRANSPOSE and RESIZE for int8 are 2
    version = 1 if op in ("RESHAPE", "SQUEEZE") else 2
    return Case(name, op, (_map("x", x, dtype=dtype), *extra), _map("y", y, dtype=dtype), table, version)


def _view_cases() -> Iterator[Case]:
    yield _moved("RESHAPE", "flatten", (1, 3, 4, 5), (1, 60), [1, 60], None)
    yield _moved("RESHAPE", "open-axis", (1, 3, 4, 5), (1, 12, 5), [-1, 12, 5], None)
    yield _moved(
        "RESHAPE", "options-only", (1, 60), (1, 5, 4, 3), None, options("ReshapeOptions", new_shape=[1, 5, 4, 3])
    )
    yield _moved("RESHAPE", "uint8", (1, 3, 4, 5), (1, 60), [1, -1], None, "uint8")
    yield _moved("SQUEEZE", "two-axes", (1, 1, 1, 10), (1, 10), None, options("SqueezeOptions", squeeze_dims=[1, 2]))
    yield _moved(
        "SQUEEZE", "negative-axis", (1, 4, 1, 3), (1, 4, 3), None, options("SqueezeOptions", squeeze_dims=[-2])
    )


def _transpose_cases() -> Iterator[Case]:
    for order in ((0, 1, 2, 3), (0, 1, 3, 2), (0, 2, 1, 3), (0, 2, 3, 1), (0, 3, 1, 2), (0, 3, 2, 1)):
        shape = tuple((1, 4, 5, 3)[axis] for axis in order)
        yield _moved("TRANSPOSE", "".join(map(str, order)), (1, 4, 5, 3), shape, list(order), None)
    yield _moved("TRANSPOSE", "three-axes", (1, 6, 4), (1, 4, 6), [0, 2, 1], None)
    yield _moved("TRANSPOSE", "uint8", (1, 4, 5, 3), (1, 3, 4, 5), [0, 3, 1, 2], None, "uint8")


def _resize_cases() -> Iterator[Case]:
    sizes = (
        ("double", (5, 4), (10, 8)),
        ("uneven", (5, 7), (13, 9)),
        ("shrink", (9, 8), (4, 3)),
        ("one", (6, 5), (1, 1)),
    )
    for name, (in_h, in_w), (out_h, out_w) in sizes:
        for suffix, flags in (
            ("", {}),
            ("-align", {"align_corners": True}),
            ("-half", {"half_pixel_centers": True}),
            ("-align-half", {"align_corners": True, "half_pixel_centers": True}),
        ):
            table = options("ResizeNearestNeighborOptions", **flags)
            shapes = (1, in_h, in_w, 3), (1, out_h, out_w, 3)
            yield _moved("RESIZE_NEAREST_NEIGHBOR", name + suffix, *shapes, [out_h, out_w], table)


def _folded_cases() -> Iterator[Case]:
    """Operators that never run: only their shapes and decoding are compared."""
    x = TensorDef("x", (1, 8, 6))
    bounds = tuple(constant(name, values, "int32") for name, values in _BOUNDS.items())
    masks = options("StridedSliceOptions", begin_mask=1, end_mask=3, shrink_axis_mask=4)
    yield Case("masks", "STRIDED_SLICE", (x, *bounds), TensorDef("y", (1, 3)), masks)
    yield Case("rank", "SHAPE", (x,), TensorDef("y", (3,), "int32"), options("ShapeOptions", out_type=_INT32))
    twins = (TensorDef("a", (1, 8)), TensorDef("b", (1, 8)))
    yield Case("middle", "PACK", twins, TensorDef("y", (1, 2, 8)), options("PackOptions", axis=1, values_count=2))
    yield Case("last", "PACK", twins, TensorDef("y", (1, 8, 2)), options("PackOptions", axis=-1, values_count=2))
    yield Case("int8", "DEQUANTIZE", (_map("x", MAP),), TensorDef("y", MAP), None, 2)


_INT32 = tflite.TensorType.INT32
_BOUNDS = {"begin": [0, 2, -1], "end": [0, 0, 0], "strides": [1, 2, 1]}

CASES: tuple[Case, ...] = (
    *_binary_cases("ADD", (0.06, 4)),
    *_binary_cases("SUB", (0.06, 4)),
    *_binary_cases("MUL", (0.09, 4)),
    *_rescaling_cases("RELU"),
    *_rescaling_cases("RELU6"),
    *_rescaling_cases("RELU_N1_TO_1", version=1),
    *_rescaling_cases("QUANTIZE"),
    _table("RELU", "uint8", (0.05, 3), (0.03, -128), 2, "uint8"),
    _table("QUANTIZE", "uint8", (0.05, 3), (0.03, -128), 2, "uint8"),
    *_logistic_cases(),
    *_softmax_cases(),
    *_concatenation_cases(),
    *_view_cases(),
    *_transpose_cases(),
    *_resize_cases(),
    *_folded_cases(),
)
