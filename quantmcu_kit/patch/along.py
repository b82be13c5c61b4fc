"""The maps of all segments that end at one place, along one axis, for many numbers of patches at once.

Where pixels are computed again, what a step needs of a map is the hull of what its readers' pixels see. Where they are
kept, all maps advance together: each gets as far as its readers' progress takes, and no further, so that tiles hold
what the next pixels see and little more. To that end progress is a real number. It begins before the last map's first
pixel, while only earlier maps have any, and may move by a fraction of a pixel: maps with more pixels then move by one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.region import Interval, Region
from quantmcu_kit.ops.halo import map_size
from quantmcu_kit.ops.table import TABLE

_FAR = 1 << 30  # beyond every map
_ROUNDING = 1e-6  # of progress, which is exact to about 1e-9
_MOST_AHEAD = 128.0  # pixels of the last map by which earlier maps may be ahead; beyond it they begin with more at once
_AHEAD_STEP = 0.25


@dataclass(frozen=True, eq=False)
class Window:
    """What each pixel of a node's output sees of one input: [first, end) per row (or column), padding included."""

    tensor: str
    first: np.ndarray
    end: np.ndarray
    size: int

    @cached_property
    def _pace(self) -> float:
        """Pixels of the input per pixel of the output, more than none."""
        last = len(self.end) - 1
        return max(float(self.end[-1] - self.end[0]), 1.0) / last if last else float(self.size)

    def progress(self, output: np.ndarray) -> np.ndarray:
        """How far the input must be for the output to be that far: as ``end``, and straight on beyond the map."""
        last = len(self.end) - 1
        pixel = output - 1.0
        inside = np.interp(pixel, np.arange(last + 1), self.end)
        return inside + np.minimum(pixel, 0.0) * self._pace + np.maximum(pixel - last, 0.0) * self._pace


@dataclass(frozen=True, eq=False)
class Along:
    """A map along one axis. Arrays are int64 [2, numbers of patches, steps]: computed again, and kept.

    Attributes:
        first, end: rows that a step needs; first > end where it needs none.
        fresh_first: those from there on are new.
    """

    first: np.ndarray
    end: np.ndarray
    fresh_first: np.ndarray

    @cached_property
    def is_needed(self) -> np.ndarray:
        """Whether a step needs anything of the map."""
        return self.end > self.first

    @cached_property
    def _fresh(self) -> np.ndarray:
        return np.where(self.is_needed, self.end - self.fresh_first, 0)

    @cached_property
    def _following(self) -> np.ndarray:
        """``first`` of the next step that needs anything."""
        firsts = np.where(self.is_needed, self.first, _FAR)
        later = np.full_like(firsts, _FAR)
        for step in range(firsts.shape[2] - 2, -1, -1):
            later[:, :, step] = np.where(self.is_needed[:, :, step + 1], firsts[:, :, step + 1], later[:, :, step + 1])
        return later

    @cached_property
    def needed(self) -> np.ndarray:
        """Most at a time."""
        return np.where(self.is_needed, self.end - self.first, 0).max(axis=2)

    @cached_property
    def kept(self) -> np.ndarray:
        """Most that were there before."""
        return np.where(self.is_needed, self.fresh_first - self.first, 0).max(axis=2)

    @cached_property
    def computed(self) -> np.ndarray:
        """All, what is computed again included."""
        return self._fresh.sum(axis=2)

    @cached_property
    def calls(self) -> np.ndarray:
        """Steps with anything new."""
        return (self._fresh > 0).sum(axis=2)

    @cached_property
    def held(self) -> np.ndarray:
        """All that lies in memory, step by step."""
        return np.where(self.is_needed, self.end - self.first, 0).sum(axis=2)

    @cached_property
    def fetched(self) -> np.ndarray:
        """Rows that come back from where they are kept."""
        return np.where(self.is_needed, self.fresh_first - self.first, 0).sum(axis=2)

    @cached_property
    def put_away(self) -> np.ndarray:
        """New rows that are kept for the next step."""
        wanted = np.maximum(self._following, self.fresh_first)
        return np.where(self.is_needed, np.maximum(self.end - wanted, 0), 0).sum(axis=2)

    @cached_property
    def passed(self) -> np.ndarray:
        """Columns of a step that are put away: up to the next one's."""
        ends = np.minimum(self.end, self._following)
        return np.where(self.is_needed, np.maximum(ends - self.first, 0), 0).sum(axis=2)

    @cached_property
    def slid(self) -> np.ndarray:
        """Columns that move within the tile when it moves on."""
        by = self._following - self.first
        stay = np.where(self.is_needed & (by > 0), self.needed[:, :, None] - by, 0)
        return np.maximum(stay, 0).sum(axis=2)

    @cached_property
    def wanted_later(self) -> np.ndarray:
        """The first that this step or a later one needs; the size of no map where none is."""
        firsts = np.where(self.is_needed, self.first, _FAR)
        return np.minimum.accumulate(firsts[:, :, ::-1], axis=2)[:, :, ::-1]


def windows(graph: Graph, axis: int, nodes: Collection[int] | None = None) -> list[tuple[Window, ...]]:
    """Of each node, what its pixels see along an axis, 0 for rows; nothing for nodes that cannot be tiled.

    Args:
        nodes: those to look at, if not all.
    """
    return [
        _windows(graph, node, axis) if nodes is None or index in nodes else () for index, node in enumerate(graph.nodes)
    ]


def _windows(graph: Graph, node, axis: int) -> tuple[Window, ...]:
    tensors = [graph.tensors[name] for name in (*graph.activation_inputs(node), node.output)]
    rule = TABLE[node.op].halo
    if rule is None or any(len(tensor.shape) != 4 for tensor in tensors):
        return ()
    inputs, output = graph.input_tensors(node), graph.tensors[node.output]
    whole = Region.whole(map_size(output))
    seen: list[list[Interval | None]] = []
    for pixel in range(output.shape[1 + axis]):
        one = Interval(pixel, pixel + 1)
        region = Region(one, whole.columns) if axis == 0 else Region(whole.rows, one)
        halos = rule(node.attrs, inputs, output, region)
        seen.append([halo and (halo.columns if axis else halo.rows) for halo in halos])
    found = []
    for name, intervals in zip(node.inputs, zip(*seen, strict=True), strict=True):
        if name is None or intervals[0] is None:
            continue
        first, end = (np.array([getattr(each, side) for each in intervals]) for side in ("start", "end"))
        found.append(Window(name, first, end, graph.tensors[name].shape[1 + axis]))
    return tuple(found)


def along(
    graph: Graph,
    seen: Sequence[tuple[Window, ...]],
    nodes: range,
    axis: int,
    parts: Sequence[int],
) -> dict[str, Along]:
    """The maps of ``graph.nodes[nodes]`` and what they read, where the last one's output is cut into patches.

    Args:
        seen: from :func:`windows`.
        parts: numbers of patches along the axis; beyond that of the last map's pixels only where pixels are kept.
    """
    cut_map = graph.nodes[nodes[-1]].output
    steps = [(graph.nodes[index].output, seen[index]) for index in reversed(nodes)]
    size = graph.tensors[cut_map].shape[1 + axis]
    again, once = _pulled(cut_map, size, steps, parts), _flowing(cut_map, size, steps, parts)
    return {name: _both(again[name], once[name]) for name in again}


def _both(again: Along, once: Along) -> Along:
    """One array for both, with empty steps in front of the shorter one."""
    longest = max(again.first.shape[1], once.first.shape[1])

    def padded(values: np.ndarray, empty: int) -> np.ndarray:
        return np.pad(values, ((0, 0), (longest - values.shape[1], 0)), constant_values=empty)

    pairs = zip((_FAR, -_FAR, -_FAR), ("first", "end", "fresh_first"), strict=True)
    return Along(
        **{name: np.stack([padded(getattr(each, name), empty) for each in (again, once)]) for empty, name in pairs}
    )


def _pulled(
    cut_map: str, size: int, steps: Sequence[tuple[str, tuple[Window, ...]]], parts: Sequence[int]
) -> dict[str, Along]:
    """Each patch computes all that it needs. Arrays are [numbers of patches, steps]."""
    needed = {cut_map: _split(size, parts)}
    for name, inputs in steps:
        if name not in needed:
            continue
        first, end = needed[name] = _in_order(*needed[name])
        is_new = end > first
        for window in inputs:
            last = len(window.first) - 1
            starts = np.clip(window.first[np.clip(first, 0, last)], 0, window.size)
            ends = np.maximum(np.minimum(window.end[np.clip(end - 1, 0, last)], window.size), starts)
            starts, ends = np.where(is_new, starts, _FAR), np.where(is_new, ends, -_FAR)
            if window.tensor in needed:
                before = needed[window.tensor]
                starts, ends = np.minimum(starts, before[0]), np.maximum(ends, before[1])
            needed[window.tensor] = starts, ends
    ordered = {name: _in_order(*limits) for name, limits in needed.items()}
    return {name: Along(first, end, np.where(end > first, first, end)) for name, (first, end) in ordered.items()}


def _in_order(first: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intervals that never go back, as is usual; a map that is joined with one made of it may be wanted twice.

    What is put aside of a map along the other axis relies on it: pixels that a patch has passed do not come again.
    """
    is_needed = end > first
    first = np.minimum.accumulate(np.where(is_needed, first, _FAR)[:, ::-1], axis=1)[:, ::-1]
    end = np.maximum.accumulate(np.where(is_needed, end, -_FAR), axis=1)
    return np.where(is_needed, first, _FAR), np.where(is_needed, end, -_FAR)


def _split(size: int, parts: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """[numbers of patches, steps] intervals as equal as they can be; at most a patch for each pixel."""
    counts = np.minimum(np.array(parts), size)[:, None]
    steps = np.arange(counts.max())[None, :]
    is_real = steps < counts
    first = np.where(is_real, steps * size // counts, _FAR)
    return first, np.where(is_real, (steps + 1) * size // counts, -_FAR)


def _flowing(
    cut_map: str, size: int, steps: Sequence[tuple[str, tuple[Window, ...]]], parts: Sequence[int]
) -> dict[str, Along]:
    """Nothing is computed twice. Arrays are [numbers of patches, steps]."""
    progress = {cut_map: _progress(size, parts, _lead(cut_map, steps))}
    reached = {cut_map: np.zeros(1, np.int64)}
    wanted = {cut_map: np.full(1, size)}
    found: dict[str, Along] = {}
    sizes = {cut_map: size} | {window.tensor: window.size for _, inputs in steps for window in inputs}
    for name in dict.fromkeys([name for name, _ in steps] + list(sizes)):
        if name not in progress:
            continue
        end = np.maximum(np.floor(progress[name] + _ROUNDING).astype(np.int64), reached[name])
        end = np.clip(end, 0, sizes[name])
        before = np.concatenate([np.zeros_like(end[:, :1]), end[:, :-1]], axis=1)
        start = np.minimum(np.maximum(before, wanted[name] if name != cut_map else 0), end)
        first = start if name == cut_map else np.minimum(wanted[name], start)
        held = end > first
        found[name] = Along(np.where(held, first, _FAR), np.where(held, end, -_FAR), np.where(held, start, -_FAR))
        for window in dict(steps).get(name, ()):
            after = window.progress(progress[name])
            reach = np.where(end > 0, window.end[np.maximum(end - 1, 0)], 0)
            following = np.maximum(before, start)
            is_left = following < len(window.first)
            begin = np.where(is_left, window.first[np.minimum(following, len(window.first) - 1)], window.size)
            begin = np.clip(begin, 0, window.size)
            if window.tensor in progress:
                after = np.maximum(after, progress[window.tensor])
                reach = np.maximum(reach, reached[window.tensor])
                begin = np.minimum(begin, wanted[window.tensor])
            progress[window.tensor], reached[window.tensor], wanted[window.tensor] = after, reach, begin
    return found


def _progress(size: int, parts: Sequence[int], lead: float) -> np.ndarray:
    """Of the last map, step by step, [numbers of patches, steps]; negative while only earlier maps have pixels."""
    ahead = [0 if count == 1 else int(np.ceil(lead * count / size - _ROUNDING)) for count in parts]
    longest = max(count + more for count, more in zip(parts, ahead, strict=True))
    step = np.arange(-longest + 1, 1)[None, :] + np.array(parts)[:, None]
    is_real = step > -np.array(ahead)[:, None]
    return np.where(is_real, step * size / np.array(parts)[:, None], -_FAR)


def _lead(cut_map: str, steps: Sequence[tuple[str, tuple[Window, ...]]]) -> float:
    """How far before the last map's first pixel the first pixel of any other map is needed, in the last map's."""
    ahead = np.arange(_MOST_AHEAD / _AHEAD_STEP) * _AHEAD_STEP
    progress = {cut_map: -ahead}
    for name, inputs in steps:
        for window in inputs if name in progress else ():
            after = window.progress(progress[name])
            progress[window.tensor] = np.maximum(after, progress.get(window.tensor, after))
    has_none = np.maximum.reduce(list(progress.values())) <= 0
    return float(ahead[np.argmax(has_none)] if has_none.any() else ahead[-1])
