"""One-operator models on which the contract of every operator is tested; the lists are in ``cases_*.py``."""

from __future__ import annotations

import dataclasses
import zlib
from dataclasses import dataclass

import numpy as np

from tests.support.tflite_builder import OperatorDef, Options, TensorDef, build

_FLOAT_DTYPES = ("float16", "float32")
_UINT8_SIGN = np.uint8(0x80)


@dataclass(frozen=True, eq=False)
class Case:
    """An operator applied to tensors, as a model of its own.

    Attributes:
        name: unique among the operator's cases.
        op: TFLite's name.
        inputs: in the operator's order; tensors without data are the network's inputs; None for an absent optional one.
        output: the network's output.
        options: builtin options.
        version: operator version.
        bound: largest |int_ref - float_ref|, in steps of the output's scale; half a step is the rounding itself.
        float_tolerance: largest relative difference between ``float_ref`` and TFLite's float kernel.
        has_float_kernel: whether TFLite computes the operator on floats too.
    """

    name: str
    op: str
    inputs: tuple[TensorDef | None, ...]
    output: TensorDef
    options: Options | None = None
    version: int = 1
    bound: float = 0.51
    float_tolerance: float = 1e-5
    has_float_kernel: bool = True

    def __str__(self) -> str:
        return f"{self.op.lower()}-{self.name}"

    @property
    def maps(self) -> tuple[TensorDef, ...]:
        """The network's inputs."""
        return tuple(tensor for tensor in self.inputs if tensor is not None and tensor.data is None)

    @property
    def is_integer(self) -> bool:
        """Whether every feature map is quantized."""
        return all(tensor.dtype in ("int8", "uint8") for tensor in (*self.maps, self.output))

    def model(self) -> bytes:
        """The .tflite file."""
        tensors = [tensor for tensor in self.inputs if tensor is not None]
        names = [None if tensor is None else tensor.name for tensor in self.inputs]
        operator = OperatorDef(self.op, names, [self.output.name], self.options, self.version)
        return build([*tensors, self.output], [operator], [tensor.name for tensor in self.maps], [self.output.name])

    def as_float(self) -> Case:
        """The same operator on real values: constants dequantized, feature maps float32."""
        inputs = tuple(None if tensor is None else _as_float(tensor) for tensor in self.inputs)
        return dataclasses.replace(self, inputs=inputs, output=_as_float(self.output))

    def pictures(self, count: int) -> list[np.ndarray]:
        """Random values for each network input, [count, ...], in its dtype; the first two are all-low and all-high."""
        rng = np.random.default_rng(zlib.crc32(str(self).encode()))
        return [_random(tensor, count, rng) for tensor in self.maps]


def _as_float(tensor: TensorDef) -> TensorDef:
    if tensor.scale is None:
        return tensor  # axes, shapes and what is float already
    data = None if tensor.data is None else dequantize(tensor, np.asarray(tensor.data))
    return TensorDef(tensor.name, tensor.shape, "float32", data=data)


def _random(tensor: TensorDef, count: int, rng: np.random.Generator) -> np.ndarray:
    shape = (count, *tensor.shape[1:])
    if tensor.dtype in _FLOAT_DTYPES:
        return rng.normal(0, 3, shape).astype(tensor.dtype)
    limits = np.iinfo(tensor.dtype)
    values = rng.integers(limits.min, limits.max, shape, endpoint=True).astype(tensor.dtype)
    values[0] = limits.min
    values[1:2] = limits.max
    return values


def dequantize(tensor: TensorDef, values: np.ndarray) -> np.ndarray:
    """Real values (float32) of integers under the tensor's quantization; the leading axis may be any batch."""
    scale = np.atleast_1d(np.asarray(tensor.scale, np.float64))
    zero_point = np.broadcast_to(np.asarray(tensor.zero_point, np.int64), scale.shape)
    if scale.size > 1:
        along = [-1 if axis == tensor.axis else 1 for axis in range(values.ndim)]
        scale, zero_point = scale.reshape(along), zero_point.reshape(along)
    return ((values.astype(np.int64) - zero_point) * scale).astype(np.float32).reshape(values.shape)


def as_int8(values: np.ndarray) -> np.ndarray:
    """Legacy uint8 values shifted to int8, as the importer does; int8 values as they are."""
    return (values ^ _UINT8_SIGN).view(np.int8) if values.dtype == np.uint8 else values
