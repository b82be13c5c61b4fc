"""Concatenation without copies: maps that are written straight into their places of the joined map."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from quantmcu_kit.ir.graph import Graph, Node, Tensor
from quantmcu_kit.ir.schedule import Stage
from quantmcu_kit.ops.interpret import is_alias, kernel_calls, prepare_node
from quantmcu_kit.ops.table import TABLE


@dataclass(frozen=True)
class Home:
    """Where a map lies within the map that a concatenation makes.

    Attributes:
        whole: the joined map.
        offset: of the first byte.
        pixel_bytes: from pixel to pixel where those of the joined map are wider, else None: the bytes are consecutive.
    """

    whole: str
    offset: int
    pixel_bytes: int | None


def find_homes(graph: Graph, stage: Stage, fixed: frozenset[str]) -> Mapping[str, Home]:
    """The maps of a stage that can be written where a concatenation wants them; for views, their sources too.

    Args:
        fixed: maps that must not move: those that enter or leave the stage.
    """
    homes: dict[str, Home] = {}
    for node in reversed(graph.nodes[stage.start : stage.end]):
        if node.op == "CONCATENATION":
            homes |= _parts(graph, node, fixed)
        elif node.output in homes and _is_free(graph, node.inputs[0], fixed) and is_alias(graph, node):
            homes[node.inputs[0]] = homes[node.output]
    return {name: home for name, home in homes.items() if home.whole not in homes}


def _parts(graph: Graph, node: Node, fixed: frozenset[str]) -> dict[str, Home]:
    """The inputs of one concatenation that need no copy."""
    output, axis = graph.tensors[node.output], node.attrs.axis
    is_consecutive = math.prod(output.shape[:axis]) == 1
    homes = {}
    first = 0  # of the input, along the axis
    for name, part in zip(node.inputs, prepare_node(graph, node).parts, strict=True):
        end = first + graph.tensors[name].shape[axis]
        offset = _offset(output, axis, first, end)
        first = end
        keeps_values = part.table is None and graph.tensors[name].dtype is output.dtype
        if not keeps_values or offset is None or node.inputs.count(name) > 1 or not _is_free(graph, name, fixed):
            continue
        if is_consecutive:
            homes[name] = Home(node.output, offset, None)
        elif _is_strided(graph, name, axis):
            homes[name] = Home(node.output, offset, output.pixel_bytes)
    return homes


def _offset(output: Tensor, axis: int, first: int, end: int) -> int | None:
    """The byte where [first, end) along an axis begin; None where they share a byte with their neighbours."""
    shape, bits = output.shape, output.dtype.bits
    if axis < len(shape) - 1:
        return first * math.prod(shape[axis + 1 : -1]) * output.pixel_bytes
    begins, ends = first * bits % 8 == 0, end * bits % 8 == 0 or end == shape[axis]
    return first * bits // 8 if begins and ends else None


def _is_free(graph: Graph, name: str | None, fixed: frozenset[str]) -> bool:
    return name is not None and not graph.tensors[name].is_constant and name not in fixed


def _is_strided(graph: Graph, name: str, axis: int) -> bool:
    """Whether a map's kernel can write it as some channels of a wider map, and nothing else reads it."""
    producer = graph.producer(name)
    is_last_axis = axis == len(graph.tensors[name].shape) - 1 == 3
    kernels = {call.kernel for call in kernel_calls(graph, producer)} if producer else set()
    return is_last_axis and len(kernels) == 1 and TABLE[producer.op].writes_apart and len(graph.consumers(name)) == 1
