"""Tensors of a .tflite subgraph as ir.Tensor: element types, shapes, constants, unique names."""

from __future__ import annotations

import math

import numpy as np
import tflite

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Port, Tensor
from quantmcu_kit.ir.types import DType, Quant
from quantmcu_kit.tflite.names import UniqueNames
from quantmcu_kit.tflite.quantization import read_quant, shift_data, shift_quant
from quantmcu_kit.tflite.reader import Reader, bad_model

MAX_RANK = 5  # of constants; feature maps have at most 4 axes
MAX_ELEMENTS = 1 << 26  # of one tensor: 64 MB as int8, beyond any microcontroller

_DTYPES = {
    tflite.TensorType.FLOAT32: DType.F32,
    tflite.TensorType.FLOAT16: DType.F16,
    tflite.TensorType.INT8: DType.I8,
    tflite.TensorType.UINT8: DType.U8,
    tflite.TensorType.INT32: DType.I32,
    tflite.TensorType.INT64: DType.I64,
}
_TYPE_NAMES = {code: name for name, code in vars(tflite.TensorType).items() if isinstance(code, int)}

_EMPTY_BUFFERS = (0, 1)  # Buffer.offset and Buffer.size hold one of these unless the data lie outside the flatbuffer


class TensorTable:
    """The tensors of one subgraph. Each is read when first asked for, so that unused ones may be of any kind.

    Args:
        where: the place, for errors.
    """

    def __init__(self, reader: Reader, model: tflite.Model, subgraph: tflite.SubGraph, where: str) -> None:
        self._reader = reader
        self._where = where
        self._tables = reader.tables(subgraph.TensorsLength(), subgraph.Tensors)
        self._buffers = reader.tables(model.BuffersLength(), model.Buffers)
        self._read: dict[int, Tensor] = {}
        self._file_quants: dict[int, Quant] = {}
        self._file_names: dict[int, str] = {}
        self._names = UniqueNames()

    def get(self, index: int, unnamed: str = "tensor") -> Tensor:
        """The tensor at ``index``; legacy uint8 values are shifted to int8.

        Args:
            unnamed: the name to give where the file has none.
        """
        if not 0 <= index < len(self._tables):
            raise bad_model(f"tensor {index} is mentioned but the file has {len(self._tables)}", self._where)
        if index not in self._read:
            self._read[index] = self._tensor(index, unnamed)
        return self._read[index]

    def file_name(self, index: int) -> str:
        """The name in the file, '' where it has none; of any tensor, supported or not."""
        return self._reader.text(self._tables[index].Name())

    def port(self, index: int) -> Port:
        """What the file exposes at ``index``, its element type and quantization as they stand in the file."""
        tensor = self.get(index)
        dtype = self._dtype(index)
        return Port(
            tensor.name,
            self._file_names[index] or tensor.name,
            dtype,
            tensor.shape,
            self._file_quants.get(index),
            source=index,
        )

    def is_dynamic(self, index: int) -> bool:
        """Whether an axis other than the batch is unknown until run time."""
        signature = self._reader.numbers(self._tables[index].ShapeSignatureAsNumpy)
        return bool((signature[1:] < 0).any())

    def stored_as_uint8(self, index: int) -> bool:
        """Whether the file holds this tensor as uint8."""
        return self._tables[index].Type() == tflite.TensorType.UINT8

    def _tensor(self, index: int, unnamed: str) -> Tensor:
        table = self._tables[index]
        file_name = self.file_name(index)
        self._file_names[index] = file_name
        name = self._names.take(file_name or unnamed)
        self._refuse_exotic(table, name)
        dtype = self._dtype(index)
        shape = self._shape(index, name)
        data = self._data(index, name, shape, dtype)
        if dtype not in (DType.I8, DType.U8):
            return Tensor(name, shape, dtype, None, data, index)
        quant = read_quant(self._reader, table.Quantization(), shape, dtype, name)
        self._file_quants[index] = quant
        if dtype is DType.I8:
            return Tensor(name, shape, dtype, quant, data, index)
        return Tensor(name, shape, DType.I8, shift_quant(quant), None if data is None else shift_data(data), index)

    def _refuse_exotic(self, table: tflite.Tensor, name: str) -> None:
        if table.Sparsity() is not None:
            problem, hint = "is stored sparsely", "export the network without sparse storage"
        elif table.IsVariable():
            problem, hint = "is a variable that lives between runs", "export the network without state"
        else:
            return
        raise QmkitError(
            "unsupported-model",
            f"tensor {name!r} {problem}",
            where=self._where,
            why="a tensor is either a dense constant or computed anew for each input",
            hint=hint,
        )

    def _dtype(self, index: int) -> DType:
        code = self._tables[index].Type()
        if code in _DTYPES:
            return _DTYPES[code]
        raise QmkitError(
            "unsupported-dtype",
            f"tensor {self._file_names.get(index) or index!r} has elements of type {_TYPE_NAMES.get(code, code)}",
            where=self._where,
            why=f"supported types: {', '.join(dtype.value for dtype in _DTYPES.values())}",
            hint="convert to float32 or to full-integer int8",
        )

    def _shape(self, index: int, name: str) -> tuple[int, ...]:
        shape = tuple(int(size) for size in self._reader.numbers(self._tables[index].ShapeAsNumpy))
        if len(shape) > MAX_RANK:
            raise QmkitError(
                "unsupported-rank",
                f"tensor {name!r} has {len(shape)} axes",
                where=self._where,
                why=f"at most {MAX_RANK} are supported",
                hint="reshape the network's tensors to batch, height, width, channels",
            )
        if any(size < 0 for size in shape):
            raise dynamic_shape(name, shape, self._where)
        if math.prod(shape) > MAX_ELEMENTS:
            raise QmkitError(
                "too-large",
                f"tensor {name!r} of shape {list(shape)} has {math.prod(shape):,} elements",
                where=self._where,
                why=f"a tensor may have at most {MAX_ELEMENTS:,}",
                hint="choose a smaller input, or check the file: its shapes may be corrupt",
            )
        return shape

    def _data(self, index: int, name: str, shape: tuple[int, ...], dtype: DType) -> np.ndarray | None:
        """A read-only copy of the constant's elements, None for a tensor without data."""
        number = self._tables[index].Buffer()
        if number >= len(self._buffers):
            raise bad_model(f"tensor {name!r} refers to buffer {number} of {len(self._buffers)}", self._where)
        buffer = self._buffers[number]
        if buffer.Offset() not in _EMPTY_BUFFERS or buffer.Size() not in _EMPTY_BUFFERS:
            raise QmkitError(
                "unsupported-model",
                f"the data of tensor {name!r} lie outside the flatbuffer",
                where=self._where,
                why="such files exceed 2 GB, far beyond any microcontroller",
                hint="export a smaller network",
            )
        raw = self._reader.numbers(buffer.DataAsNumpy)
        if raw.size == 0 and 0 not in shape:
            return None
        expected = math.prod(shape) * dtype.numpy.itemsize
        if raw.nbytes != expected:
            raise bad_model(
                f"constant {name!r} has {raw.nbytes:,} bytes of data",
                self._where,
                f"its shape {list(shape)} of {dtype.value} takes {expected:,}",
            )
        data = np.frombuffer(raw.tobytes(), dtype.numpy).reshape(shape)
        if dtype.is_float and not np.isfinite(data).all():
            raise bad_model(f"constant {name!r} is not finite", self._where, "some of its values are NaN or infinite")
        return data


def dynamic_shape(name: str, shape: tuple[int, ...], where: str) -> QmkitError:
    """The error of a tensor with an axis that is unknown until run time."""
    return QmkitError(
        "dynamic-shape",
        f"tensor {name!r} has the dynamic shape {list(shape)}",
        where=where,
        why="memory is planned before the network is flashed, so every axis but the batch needs its size",
        hint="export with a fixed input shape: set batch, height, width and channels in the input signature",
    )
