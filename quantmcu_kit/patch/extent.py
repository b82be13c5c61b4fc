"""The maps of one segment along one axis, patch after patch: what each patch needs, and what of it is new."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.region import Interval
from quantmcu_kit.patch.along import Along, along, windows
from quantmcu_kit.patch.segment import Segment

_NOTHING = Interval(0, 0)


@dataclass(frozen=True)
class Extent:
    """A map along one axis.

    Attributes:
        steps: rows (or columns) that each patch needs.
        fresh: the part of them that it computes.
        needed: most of them at a time.
        kept: most of them that were there before the patch.
        computed: all that the patches compute, what they compute again included.
    """

    steps: tuple[Interval, ...]
    fresh: tuple[Interval, ...]
    needed: int
    kept: int
    computed: int


Axis = Mapping[str, Extent]  # by map


def rows_of(graph: Graph, segment: Segment, parts: int, *, keep: bool) -> Axis:
    """The maps' rows where the last one is cut into ``parts`` from top to bottom; ``keep``: none is computed twice.

    Where rows are kept, there are more steps than ``parts``: earlier maps begin before the last one does.
    """
    return _axis(graph, segment, 0, parts, keep)


def columns_of(graph: Graph, segment: Segment, parts: int, *, keep: bool) -> Axis:
    """The maps' columns where the last one is cut into ``parts`` from left to right."""
    return _axis(graph, segment, 1, parts, keep)


def _axis(graph: Graph, segment: Segment, axis: int, parts: int, keep: bool) -> Axis:
    nodes = range(segment.start, segment.tiled_end)
    maps = along(graph, windows(graph, axis, nodes), nodes, axis, [parts])
    names = (segment.input, *(node.output for node in segment.nodes(graph)))
    found = {name: maps[name] for name in names if name in maps}
    first = min(_first_step(entry, keep) for entry in found.values())
    count = next(iter(found.values())).first.shape[2] - first
    unread = Extent((_NOTHING,) * count, (_NOTHING,) * count, 0, 0, 0)
    return {name: _extent(found[name], keep, first) if name in found else unread for name in names}


def _first_step(entry: Along, keep: bool) -> int:
    """The first step that needs anything of a map."""
    return int(np.argmax(entry.end[int(keep), 0] > entry.first[int(keep), 0]))


def _extent(entry: Along, keep: bool, first_step: int) -> Extent:
    firsts, ends, news = (
        values[int(keep), 0, first_step:].tolist() for values in (entry.first, entry.end, entry.fresh_first)
    )
    limits = list(zip(firsts, news, ends, strict=True))
    return Extent(
        steps=tuple(Interval(first, end) if end > first else _NOTHING for first, _, end in limits),
        fresh=tuple(Interval(new, end) if end > first else _NOTHING for first, new, end in limits),
        needed=int(entry.needed[int(keep), 0]),
        kept=int(entry.kept[int(keep), 0]),
        computed=int(entry.computed[int(keep), 0]),
    )
