"""How wide feature maps and weights are: a precision plan, resolved over a graph."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import WHOLE, PrecisionPlan
from quantmcu_kit.ops.table import TABLE

WIDTHS = (8, 4, 2)


def check_plan(graph: Graph, precision: PrecisionPlan, inner: Collection[str] = ()) -> None:
    """Raise ``unsupported-precision`` for what cannot be: other widths, names or classes, ports below 8 bits.

    Args:
        inner: maps inside a patched stage, which may have a width per branch class.
    """
    maps = {tensor.name for tensor in graph.feature_maps()}
    constants = {node.inputs[1] for node in graph.nodes if TABLE[node.op].weight_axis is not None}
    listed = {name for _, name in precision.feature_maps}
    widths = {precision.default, *precision.feature_maps.values(), *precision.weights.values()}
    _refuse(sorted(widths - set(WIDTHS)), "are not widths", "feature maps and weights have 8, 4 or 2 bits")
    _refuse(listed - maps, "are not feature maps of the network", "the plan was made for another network")
    _refuse(
        set(precision.weights) - constants, "are not weights of the network", "the plan was made for another network"
    )
    classed = {(name, tensor) for name, tensor in precision.feature_maps if name != WHOLE}
    unknown = {name for name, tensor in classed if tensor not in inner}
    _refuse(unknown, "are not known branch classes", "feature maps outside of a patched stage have one width each")
    both = {tensor for _, tensor in classed if (WHOLE, tensor) in precision.feature_maps}
    _refuse(both, "have a width for all branch classes beside those of some", "it is one or the other")
    narrow = {name for name in listed & _ports(graph) if precision.bits(name) != 8}
    _refuse(narrow, "cannot be narrower than 8 bits", "they enter or leave the network")


def _refuse(what: Iterable[object], message: str, why: str) -> None:
    names = ", ".join(map(repr, sorted(what, key=str)))
    if names:
        raise QmkitError("unsupported-precision", f"{names} {message}", why=why)


def _ports(graph: Graph) -> set[str]:
    return {port.tensor for port in (*graph.inputs, *graph.outputs)}


def map_bits(
    graph: Graph, precision: PrecisionPlan, branch_class: str = WHOLE, inner: Collection[str] = ()
) -> dict[str, int]:
    """Bits per feature map, as patches of a branch class see it; the class matters to ``inner`` maps alone.

    What enters or leaves the network has 8 bits, whatever the plan's default. A view and its source share the narrowest
    width that either of them has, 8 bits if either is a port: nothing runs between them that could change it.
    """
    ports = _ports(graph)
    names = [tensor.name for tensor in graph.feature_maps()]
    bits = {name: precision.bits(name, branch_class if name in inner else WHOLE) for name in names}
    for group in _views(graph):
        shared = 8 if ports & set(group) else min(bits[name] for name in group)
        bits.update(dict.fromkeys(group, shared))
    return bits


def _views(graph: Graph) -> list[list[str]]:
    """Feature maps with all their views, views of views included; a map without one is alone."""
    group_of: dict[str, list[str]] = {port.tensor: [port.tensor] for port in graph.inputs}
    for node in graph.nodes:
        source = node.inputs[0]
        is_view = TABLE[node.op].is_view and source in group_of
        group = group_of[source] if is_view else []
        group.append(node.output)
        group_of[node.output] = group
    return list({id(group): group for group in group_of.values()}.values())
