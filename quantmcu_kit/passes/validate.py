"""The last look at an imported network: refuse what the later stages could not run."""

from __future__ import annotations

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Graph, Node
from quantmcu_kit.ir.types import DType
from quantmcu_kit.ops.table import TABLE


def validate(graph: Graph) -> Graph:
    """Return ``graph`` unchanged if all of it is float32, or all of it is int8, and every node can run as integers.

    Raises:
        QmkitError: ``unsupported-model`` for float and integer maps in one network, for outputs that do not depend on
            the inputs; ``unsupported-op`` for nodes outside an operator's constraints.
    """
    for node in graph.nodes:
        _refuse_conversion(graph, node)
    _refuse_mixture(graph)
    for node in graph.nodes:
        _refuse_constant(graph, node)
        _check_rules(graph, node)
    for port in graph.outputs:
        if graph.producer(port.tensor) is None:
            raise _pointless(port.name)
    return graph


def _mixture(message: str) -> QmkitError:
    return QmkitError(
        "unsupported-model",
        message,
        why="the generated library computes in integers throughout; floats are possible only at its inputs and outputs",
        hint="convert with full-integer quantization (a representative dataset and TFLITE_BUILTINS_INT8), "
        "or start from the float model",
    )


def _refuse_conversion(graph: Graph, node: Node) -> None:
    if node.op == "DEQUANTIZE":
        raise _mixture(f"{node.op} {node.name!r} turns integers into floats in the middle of the network")
    if node.op == "QUANTIZE" and graph.tensors[node.inputs[0]].dtype is DType.F32:
        raise _mixture(f"{node.op} {node.name!r} turns floats into integers in the middle of the network")


def _refuse_mixture(graph: Graph) -> None:
    first, *others = graph.feature_maps()
    for other in others:
        if other.dtype is not first.dtype:
            raise _mixture(
                f"feature map {other.name!r} is {other.dtype.value} but {first.name!r} is {first.dtype.value}"
            )


def _refuse_constant(graph: Graph, node: Node) -> None:
    if not graph.activation_inputs(node):
        raise QmkitError(
            "unsupported-op",
            f"{node.op} {node.name!r} has only constant inputs",
            why="SHAPE, STRIDED_SLICE, PACK, RESHAPE, SQUEEZE, TRANSPOSE and DEQUANTIZE of constants are computed at "
            "build time, other operators are not",
            hint="fold the constants before exporting (tf.lite.TFLiteConverter does, with its optimizations)",
        )


def _check_rules(graph: Graph, node: Node) -> None:
    spec = TABLE[node.op]
    if spec.int_ref is None:
        raise QmkitError(
            "unsupported-op",
            f"{node.op} {node.name!r} does not fold to a constant",
            why="it is supported only for shapes, which are known at build time",
            hint="export with a fixed input shape",
        )
    inputs = graph.input_tensors(node)
    spec.check_constraints(node.attrs, inputs, node.name)
    assert tuple(spec.infer(node.attrs, *inputs)) == graph.tensors[node.output].shape, f"a pass broke {node.name!r}"


def _pointless(output: str) -> QmkitError:
    return QmkitError(
        "unsupported-model",
        f"network output {output!r} is not computed from the inputs",
        why="after simplification it is a constant or an input itself",
        hint="check what was exported",
    )
