"""What every operator file must provide: one frozen table entry of rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

import numpy as np

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.region import Region
from quantmcu_kit.ops.linear import LinearForm

Shape = tuple[int, ...]
Inputs = tuple["Tensor | None", ...]


class Operator(Protocol):
    """The part of a .tflite operator that ``decode`` may read."""

    def options(self, cls: type) -> Any:
        """The operator's builtin options as an initialised flatbuffer object of ``cls``, or None where absent."""

    @property
    def is_uint8(self) -> bool:
        """Whether the file holds the first input as uint8 (legacy quantization); decoders see it shifted to int8."""


@dataclass(frozen=True)
class Cost:
    """Work of one node for one picture: multiply-accumulates and bytes moved."""

    macs: int
    bytes_read: int
    bytes_written: int


@dataclass(frozen=True)
class KernelCall:
    """A call of ``qmcu_<kernel>(&parameters, arguments..., output[, scratch])`` in the generated C.

    Attributes:
        kernel: stem of ``kernels/<kernel>.c``, of the function ``qmcu_<kernel>`` and the type ``qmcu_<kernel>_t``.
        fields: the parameter struct, field by field: an int, a nested tuple of (name, value) pairs,
            or an int8/int32 array that becomes a constant in flash.
        arguments: what is passed before the output: an index into the node's inputs, or a constant int8 array.
        scratch_bytes: bytes of scratch passed last; 0 passes NULL; None for a kernel without that parameter.
        place: rows and columns of the output that the call writes, for one of several that share them; None: all.
    """

    kernel: str
    fields: tuple[tuple[str, Any], ...]
    arguments: tuple[int | np.ndarray, ...] = (0,)
    scratch_bytes: int | None = None
    place: Region | None = None


class OutputQuant(Enum):
    """How the quantization of a node's output follows from its inputs."""

    FREE = "free"  # chosen from the output's own range
    SAME = "same"  # equal to that of every feature-map input: the op moves or compares values
    UNIT = "unit"  # scale 1/256, zero-point -128: probabilities


Constraint = Callable[..., bool]


@dataclass(frozen=True)
class OpSpec:
    """The rules of one operator.

    Attributes:
        name: TFLite's name.
        attrs: frozen dataclass of the op's attributes.
        decode: (Operator, inputs, outputs) -> attrs.
        infer: (attrs, *input tensors) -> output shape; raises QmkitError.
        float_ref: (attrs, *input arrays) -> float32 array; the leading axis is a batch.
        prepare: (attrs, input tensors, output tensor) -> integer parameters; None for ops that never run as integers.
        int_ref: (params, *input arrays) -> int8 array; exact; the leading axis is a batch.
        cost: (attrs, inputs, output tensor) -> Cost.
        emit: (params) -> KernelCalls in order; an empty tuple when the output is a view of input 0.
        constraints: functions (attrs, *input tensors) -> bool whose docstring is the sentence the user reads.
        output_quant: how the output's quantization is found.
        weight_axis: channel axis of input 1 when it is a per-channel weight tensor with input 2 as bias, else None.
        linear: the op as a matrix product, for ops with a ``weight_axis``.
        in_place: whether the output may overwrite a feature-map input of the same size.
        writes_apart: whether its kernel can write pixels that lie apart, as some channels of a wider map.
        is_view: whether the output is input 0's values in their order under another shape: the same bytes, unless
            pixels are packed otherwise (``emit`` returns a call then).
        sums: (attrs, inputs, output) -> how many int32 sums hold the output while the pixels of input 0, a whole map,
            come one after another; 0 where it cannot be added up. None for ops that never can.
        halo: (attrs, inputs, output, region of the output) -> region of each input that it needs, see ``ops/halo.py``;
            None for ops that cannot run on a part of a map.
    """

    name: str
    attrs: type
    decode: Callable[..., Any]
    infer: Callable[..., Shape]
    float_ref: Callable[..., np.ndarray]
    prepare: Callable[..., Any] | None = None
    int_ref: Callable[..., np.ndarray] | None = None
    cost: Callable[..., Cost] | None = None
    emit: Callable[..., tuple[KernelCall, ...]] | None = None
    constraints: tuple[Constraint, ...] = field(default=())
    output_quant: OutputQuant = OutputQuant.FREE
    weight_axis: int | None = None
    linear: LinearForm | None = None
    in_place: bool = False
    writes_apart: bool = False
    is_view: bool = False
    sums: Callable[..., int] | None = None
    halo: Callable[..., tuple[Region | None, ...]] | None = None

    def check_constraints(self, attrs: Any, inputs: Inputs, node_name: str) -> None:
        """Raise ``unsupported-op`` with the docstring of the first constraint that does not hold."""
        for constraint in self.constraints:
            if not constraint(attrs, *inputs):
                raise QmkitError(
                    "unsupported-op",
                    f"{self.name} {node_name!r} is outside what the integer kernel supports",
                    why=(constraint.__doc__ or constraint.__name__).strip(),
                    hint="see `qmkit inspect --support` for the supported forms, or change the model and export again",
                )


@dataclass(frozen=True)
class NoAttrs:
    """Attributes of an operator that has none."""


def no_attrs(operator: Operator, inputs: Inputs, outputs: tuple[Tensor, ...]) -> NoAttrs:
    """``decode`` of an operator without attributes."""
    return NoAttrs()


def same_shape(attrs: Any, x: Tensor, *others: Tensor | None) -> Shape:
    """``infer`` of an elementwise operator."""
    return x.shape


def elementwise_cost(attrs: Any, inputs: Inputs, output: Tensor) -> Cost:
    """``cost`` of an operator that does no multiply-accumulate: bytes only."""
    read = sum(tensor.bytes for tensor in inputs if tensor is not None)
    return Cost(macs=0, bytes_read=read, bytes_written=output.bytes)
