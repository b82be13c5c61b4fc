"""Operators of a .tflite subgraph: their names, options, and the refusal of those that the kit does not know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import tflite

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.tflite.reader import Reader, bad_model
from quantmcu_kit.tflite.tensors import TensorTable

_NAMES = {code: name for name, code in vars(tflite.BuiltinOperator).items() if isinstance(code, int)}


@dataclass(frozen=True)
class OpCode:
    """What an operator does: TFLite's name (or a custom operator's own) and the version of its definition."""

    name: str
    version: int
    is_custom: bool

    @property
    def is_supported(self) -> bool:
        """Whether the kit has rules for it."""
        return not self.is_custom and self.name in TABLE


def read_codes(reader: Reader, model: tflite.Model) -> list[OpCode]:
    """The model's operator codes. Old files have the code in a byte, new ones in both fields: the larger one counts."""
    codes = []
    for table in reader.tables(model.OperatorCodesLength(), model.OperatorCodes):
        builtin = max(table.BuiltinCode(), table.DeprecatedBuiltinCode())
        custom = reader.text(table.CustomCode())
        is_custom = builtin == tflite.BuiltinOperator.CUSTOM
        name = (custom or "CUSTOM") if is_custom else _NAMES.get(builtin, f"number {builtin}")
        codes.append(OpCode(name, table.Version(), is_custom))
    return codes


class FileOperator:
    """One operator of the file; ``ops.spec.Operator`` is what decoders see of it.

    Args:
        codes: the model's operator codes.
        tensors: the subgraph's tensors.
        where: the place, for errors.
    """

    def __init__(
        self, reader: Reader, table: tflite.Operator, codes: Sequence[OpCode], tensors: TensorTable, where: str
    ) -> None:
        if table.OpcodeIndex() >= len(codes):
            raise bad_model(f"operator code {table.OpcodeIndex()} does not exist", where)
        self.code = codes[table.OpcodeIndex()]
        self.inputs = reader.numbers(table.InputsAsNumpy)
        self.outputs = reader.numbers(table.OutputsAsNumpy)
        self._table = table
        self._tensors = tensors

    @property
    def is_uint8(self) -> bool:
        """Whether the file holds the first input as uint8."""
        return self._tensors.stored_as_uint8(int(self.inputs[0]))

    def options(self, cls: type) -> Any:
        """The builtin options as a flatbuffer object of ``cls``; None where absent or of another operator."""
        union = self._table.BuiltinOptions()
        if union is None or self._table.BuiltinOptionsType() != getattr(tflite.BuiltinOptions, cls.__name__):
            return None
        options = cls()
        options.Init(union.Bytes, union.Pos)
        return options


def refuse_unsupported(operators: Sequence[FileOperator], name_of: Callable[[int], str], where: str) -> None:
    """Raise ``unsupported-op`` for the first operator without rules; the others are counted in the explanation.

    Args:
        name_of: the name of an output tensor by its index.
    """
    refused = [index for index, operator in enumerate(operators) if not operator.code.is_supported]
    if not refused:
        return
    operator = operators[refused[0]]
    code = operator.code
    kind = "custom operator " if code.is_custom else ""
    output = f' "{name_of(int(operator.outputs[0]))}"' if operator.outputs.size else ""
    counts = Counter(operators[index].code.name for index in refused)
    listed = ", ".join(f"{name} x{count}" if count > 1 else name for name, count in counts.items())
    raise QmkitError(
        "unsupported-op",
        f"op {refused[0]} {kind}{code.name}{output} (version {code.version}) is not supported",
        where=where,
        why=f"unsupported in this model: {listed}; supported: {', '.join(sorted(TABLE))}",
        hint="replace or cut off these operators and export again; `qmkit inspect --support` lists the supported forms",
    )
