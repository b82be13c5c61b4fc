"""Bytes of a .tflite file -> ir.Graph, node by node through the rules of ``ops.table``."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import tflite

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.check import check
from quantmcu_kit.ir.graph import Graph, Node, Port, Tensor
from quantmcu_kit.ir.types import DType, Quant
from quantmcu_kit.ops.spec import Inputs, OpSpec
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.tflite.names import UniqueNames
from quantmcu_kit.tflite.operators import FileOperator, read_codes, refuse_unsupported
from quantmcu_kit.tflite.reader import Reader, bad_model, corrupt_is_an_error, too_many
from quantmcu_kit.tflite.rules import check_map, check_types
from quantmcu_kit.tflite.sniff import check_identifier
from quantmcu_kit.tflite.tensors import TensorTable, dynamic_shape

MAX_OPERATORS = 10_000  # networks for microcontrollers have hundreds
MAX_OPERANDS = 1024  # of one operator, and inputs or outputs of the network
ABSENT = -1  # index of an optional input that is not given


def load(data: bytes, *, name: str, where: str = "") -> Graph:
    """The network in a .tflite file, as it stands: passes simplify it.

    Legacy uint8 tensors are shifted to int8; ``Port`` keeps what the file exposes. Memory stays below 32 times
    the file plus 16 MB, the passes included; time is linear in the file's size, whatever the file claims.

    Args:
        data: the whole file.
        name: the network's name, a C identifier.
        where: the file's name, for errors.
    Raises:
        QmkitError: ``empty-file``, ``not-a-tflite``, ``bad-model``, ``unsupported-op``, ``unsupported-dtype``,
            ``unsupported-rank``, ``unsupported-batch``, ``unsupported-model``, ``dynamic-shape``, ``bad-shape``,
            ``bad-quantization``, ``too-large``.
    """
    check_identifier(data, where)
    place = f"{where}, subgraph 0" if where else "subgraph 0"
    with corrupt_is_an_error("the file cannot be read as a model", place):
        reader = Reader(data, where)
        model = reader.model()
        subgraph = _only_subgraph(reader, model)
        builder = _Builder(reader, model, subgraph, place)
        nodes = builder.build()
        inputs, outputs = builder.ports()
    digest = hashlib.sha256(data).hexdigest()
    # check() verifies the importer, not the file: what a file can get wrong was refused above
    return check(Graph(name, builder.tensors, tuple(nodes), inputs, outputs, digest))


def _only_subgraph(reader: Reader, model: tflite.Model) -> tflite.SubGraph:
    subgraphs = reader.tables(model.SubgraphsLength(), model.Subgraphs)
    if not subgraphs:
        raise bad_model("the model has no subgraph", "")
    used = [index for index, subgraph in enumerate(subgraphs) if index == 0 or subgraph.OperatorsLength()]
    if len(used) > 1:
        raise QmkitError(
            "unsupported-model",
            f"the model has {len(used)} subgraphs",
            why="a library holds one network: no control flow, no second signature",
            hint="export a single inference function, without loops, conditions or training signatures",
        )
    return subgraphs[0]


class _Builder:
    """Turns the operators of one subgraph into nodes, in file order, and collects the tensors they mention."""

    def __init__(self, reader: Reader, model: tflite.Model, subgraph: tflite.SubGraph, where: str) -> None:
        self._where = where
        self._table = TensorTable(reader, model, subgraph, where)
        codes = read_codes(reader, model)
        count = subgraph.OperatorsLength()
        too_many(count, MAX_OPERATORS, "the model has {:,} operators")
        tables = reader.tables(count, subgraph.Operators)
        self._operators = [FileOperator(reader, table, codes, self._table, where) for table in tables]
        self._input_indices = self._port_indices(reader.numbers(subgraph.InputsAsNumpy))
        self._output_indices = self._port_indices(reader.numbers(subgraph.OutputsAsNumpy))
        self.tensors: dict[str, Tensor] = {}
        self._written: set[str] = set()  # network inputs and node outputs so far
        self._at_run_time: set[str] = set()  # those of them that depend on the network's inputs
        self._node_names = UniqueNames()

    def _port_indices(self, indices: np.ndarray) -> list[int]:
        too_many(indices.size, MAX_OPERANDS, "the network has {:,} inputs or outputs")
        listed = indices.tolist()
        if len(set(listed)) != len(listed):
            raise bad_model("a network input or output is listed twice", self._where, "each is a tensor of its own")
        return listed

    def build(self) -> list[Node]:
        """The nodes, in execution order."""
        refuse_unsupported(self._operators, self._table.file_name, self._where)
        for index in self._input_indices:
            self._add_input(index)
        return [self._node(index, operator) for index, operator in enumerate(self._operators)]

    def ports(self) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
        """The network's inputs and outputs."""
        if not self._input_indices or not self._output_indices:
            raise bad_model("the network has no input or no output", self._where, "nothing would be computed")
        for index in self._output_indices:
            tensor = self._table.get(index)
            if tensor.name not in self._written:
                raise bad_model(f"network output {tensor.name!r} is never written", self._where)
        inputs = tuple(self._table.port(index) for index in self._input_indices)
        return inputs, tuple(self._table.port(index) for index in self._output_indices)

    def _add_input(self, index: int) -> None:
        tensor = self._table.get(index, f"input_{index}")
        if tensor.is_constant:
            raise bad_model(f"network input {tensor.name!r} is a constant", self._where, "its value is in the file")
        if self._table.is_dynamic(index):
            raise dynamic_shape(tensor.name, tensor.shape, self._where)
        check_map(tensor)
        self._write(tensor)
        self._at_run_time.add(tensor.name)

    def _write(self, tensor: Tensor) -> None:
        if tensor.is_constant or tensor.name in self._written:
            raise bad_model(f"tensor {tensor.name!r} is written twice", self._where, "each tensor has one source")
        self._written.add(tensor.name)
        self.tensors[tensor.name] = tensor

    def _read(self, index: int, reader: str) -> Tensor | None:
        if index == ABSENT:
            return None
        tensor = self._table.get(index)
        if not tensor.is_constant and tensor.name not in self._written:
            raise bad_model(
                f"{reader} reads tensor {tensor.name!r} before it is written", self._where, "operators are out of order"
            )
        return tensor

    def _node(self, index: int, operator: FileOperator) -> Node:
        spec = TABLE[operator.code.name]
        label = f"op {index} {spec.name}"
        if operator.outputs.size != 1:
            raise bad_model(f"{label} has {operator.outputs.size} outputs", self._where, "it must have one")
        too_many(operator.inputs.size, MAX_OPERANDS, f"{label} has {{:,}} inputs")
        output = self._table.get(int(operator.outputs[0]), f"{spec.name.lower()}_{index}")
        inputs = tuple(self._read(position, label) for position in operator.inputs.tolist())
        if not inputs or inputs[0] is None:
            raise bad_model(f"{label} has no input", self._where)
        # the converter joins the names of what it fused with ';': the first one is enough for a node
        name = self._node_names.take(output.name.split(";")[0] or output.name)
        check_types(spec, name, inputs, output)
        inputs = self._with_weights(spec, operator, inputs)
        at_run_time = any(tensor is not None and tensor.name in self._at_run_time for tensor in inputs)
        if at_run_time and spec.name != "SHAPE":  # the shapes of run-time maps are known now
            check_map(output)
            self._at_run_time.add(output.name)
        with corrupt_is_an_error(f'{label} "{name}" does not fit its inputs or has no options', self._where):
            attrs = spec.decode(operator, inputs, (output,))
            self._check_rules(spec, attrs, inputs, output, name)
        for tensor in inputs:
            if tensor is not None:
                self.tensors[tensor.name] = tensor
        self._write(output)
        names = tuple(None if tensor is None else tensor.name for tensor in inputs)
        return Node(spec.name, name, attrs, names, (output.name,))

    def _check_rules(self, spec: OpSpec, attrs: object, inputs: Inputs, output: Tensor, name: str) -> None:
        """Constraints and the declared shape. Inputs that only folding makes constant wait for the passes' check."""
        to_fold = any(
            tensor is not None and not tensor.is_constant and tensor.name not in self._at_run_time for tensor in inputs
        )
        if not to_fold:
            spec.check_constraints(attrs, inputs, name)
        shape = tuple(spec.infer(attrs, *inputs))
        if shape == output.shape:
            return
        if output.source is not None and self._table.is_dynamic(output.source):
            raise dynamic_shape(output.name, output.shape, self._where)
        raise bad_model(
            f"{spec.name} {name!r} writes {list(shape)} but tensor {output.name!r} is declared {list(output.shape)}",
            self._where,
            "the shapes in the file contradict each other",
        )

    def _with_weights(self, spec: OpSpec, operator: FileOperator, inputs: Inputs) -> Inputs:
        """int8 convolution weights marked per channel even with one scale, since TFLite multiplies their scales alike.

        Source: ``PopulateConvolutionQuantizationParams``, which takes the float32 product for uint8 only.
        """
        if spec.name not in ("CONV_2D", "DEPTHWISE_CONV_2D") or len(inputs) < 2 or inputs[1] is None:
            return inputs
        weights = inputs[1]
        if weights.dtype is not DType.I8 or self._table.stored_as_uint8(int(operator.inputs[1])):
            return inputs
        if weights.quant.zero_point.any():
            raise QmkitError(
                "bad-quantization",
                f"int8 weights {weights.name!r} have a zero-point other than 0",
                where=self._where,
                why="int8 weights are symmetric by the TFLite specification, and its kernels ignore their zero-point",
                hint="quantize the network again with the TFLite converter",
            )
        quant = Quant(weights.quant.scale, weights.quant.zero_point, spec.weight_axis)
        return (inputs[0], dataclasses.replace(weights, quant=quant), *inputs[2:])
