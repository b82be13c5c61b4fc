"""A network as a library carries it <-> bytes: the archive of its graph and, where patches are of several branch
classes, beside it what the other classes have of their own, the rule, and the schedule."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from quantmcu_kit.ir.branches import Branches, Scan, StaticClasses, are_equal, check_branches
from quantmcu_kit.ir.check import check
from quantmcu_kit.ir.codec import decode, encode
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.schedule import Schedule
from quantmcu_kit.ops.serialize import DAMAGE, damaged, graph_members, graph_of, pack, tensor_json, tensor_of, unpack

_BRANCHES = "branches.json"
_SCORES = "branches/scores"


@dataclass(frozen=True, eq=False)
class Network:
    """An integer graph and, where its patches are of several classes, these and the schedule that they belong to.

    Attributes:
        graph: where there are classes, that which stands for all of them.
    """

    graph: Graph
    schedule: Schedule | None = None
    branches: Branches | None = None


def save_network(graph: Graph, schedule: Schedule | None = None, branches: Branches | None = None) -> bytes:
    """The network as bytes; without classes, those of its graph alone.

    Args:
        graph: with classes, ``branches.common``.
    """
    if branches is None:
        return pack(graph_members(graph))
    members = graph_members(graph)
    own = {name: _own_tensors(graph, each, name, members) for name, each in branches.graphs.items()}
    rule = branches.rule
    if isinstance(rule, Scan):
        members[_SCORES] = rule.table
    document = {
        "schedule": encode(schedule),
        "stage": branches.stage,
        "limit": rule.limit if isinstance(rule, Scan) else None,
        "names": None if isinstance(rule, Scan) else encode(rule),
        "classes": [{"name": name, "tensors": tensors} for name, tensors in own.items()],
    }
    members[_BRANCHES] = json.dumps(document, indent=1, ensure_ascii=True).encode()
    return pack(members)


def _own_tensors(common: Graph, graph: Graph, branch_class: str, members: dict[str, bytes | np.ndarray]) -> list[Any]:
    """The tensors of a class that are not those of the common graph; their elements go into ``members``."""
    entries = []
    for name, tensor in graph.tensors.items():
        if are_equal(tensor, common.tensors[name]):
            continue
        member = f"branches/{branch_class}/{len(entries):04d}" if tensor.is_constant else None
        if member is not None:
            members[member] = tensor.data
        entries.append(tensor_json(tensor, member))
    return entries


def load_network(data: bytes) -> Network:
    """The network that :func:`save_network` wrote; raises ``damaged-library``."""
    members = unpack(data)
    graph = graph_of(members)
    if _BRANCHES not in members:
        return Network(graph)
    try:
        document = json.loads(members[_BRANCHES])
        schedule = decode(Schedule, document["schedule"])
        graphs = {entry["name"]: _graph_of_class(graph, entry["tensors"], members) for entry in document["classes"]}
        branches = Branches(document["stage"], graphs, _rule(document, members))
        return Network(graph, schedule, check_branches(branches, schedule))
    except DAMAGE as error:
        raise damaged(error) from error


def _graph_of_class(common: Graph, entries: Any, members: Mapping[str, Any]) -> Graph:
    own = [tensor_of(entry, members) for entry in entries]
    return (
        check(common.replace(tensors={**common.tensors, **{tensor.name: tensor for tensor in own}})) if own else common
    )


def _rule(document: Any, members: Mapping[str, Any]) -> Scan | StaticClasses:
    if document["names"] is None:
        return Scan(members[_SCORES], decode(int, document["limit"]))
    return decode(StaticClasses, document["names"])
