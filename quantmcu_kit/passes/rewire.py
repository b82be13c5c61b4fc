"""The one edit that passes share: take nodes out and let their readers read something else."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Container, Iterable, Mapping

from quantmcu_kit.ir.graph import Graph, Node, Port, Tensor


def rewire(
    graph: Graph,
    nodes: Iterable[Node],
    aliases: Mapping[str, str],
    *,
    tensors: Mapping[str, Tensor] | None = None,
    inputs: Iterable[Port] | None = None,
) -> Graph:
    """``graph`` with ``nodes``, where whatever read a key of ``aliases`` reads its value instead.

    Args:
        aliases: tensor names; a value may itself be a key, as long as there is no cycle.
        tensors: new or changed tensors, laid over the graph's.
        inputs: the network's inputs where they change.
    """
    final: dict[str, str] = {}

    def resolve(name: str) -> str:
        path = []
        while name in aliases and name not in final:
            path.append(name)
            name = aliases[name]
        name = final.get(name, name)
        final.update(dict.fromkeys(path, name))
        return name

    rewired = [
        dataclasses.replace(node, inputs=tuple(None if name is None else resolve(name) for name in node.inputs))
        for node in nodes
    ]
    outputs = [dataclasses.replace(port, tensor=resolve(port.tensor)) for port in graph.outputs]
    return graph.replace(nodes=rewired, tensors={**graph.tensors, **(tensors or {})}, inputs=inputs, outputs=outputs)


def same_quant(a: Tensor, b: Tensor) -> bool:
    """Whether equal bytes in ``a`` and ``b`` mean equal values."""
    return a.dtype is b.dtype and (a.quant is b.quant or (a.quant is not None and a.quant.same_as(b.quant)))


def unique_name(name: str, taken: Container[str]) -> str:
    """``name``, or ``name#n`` with the smallest n >= 2 that is not taken."""
    candidates = itertools.chain([name], (f"{name}#{number}" for number in itertools.count(2)))
    return next(candidate for candidate in candidates if candidate not in taken)
