"""Lifetimes -> offsets in one arena. Pure and deterministic: greedy placement in several orders, then local search.

Placing blocks with fixed lifetimes into the least memory is NP-hard (dynamic storage allocation). Chains of layers are
easy: a greedy order mostly meets the lower bound at once. The search below handles what is left.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterable, Sequence

from quantmcu_kit.ir.plans import ARENA_ALIGNMENT, Lifetime

_SEARCH_PLACEMENTS = 600  # placements tried after the greedy orders; under a second for a hundred blocks


def aligned(size: int, alignment: int = ARENA_ALIGNMENT) -> int:
    """``size`` rounded up to a multiple of ``alignment``."""
    return -(-size // alignment) * alignment


def with_aligned_sizes(blocks: Iterable[Lifetime], alignment: int) -> tuple[Lifetime, ...]:
    """The blocks with sizes rounded up: placed without gaps, all of them are aligned."""
    return tuple(dataclasses.replace(block, size=aligned(block.size, alignment)) for block in blocks)


def lower_bound(blocks: Sequence[Lifetime]) -> int:
    """The most bytes alive at one step: no placement needs less."""
    steps = {block.first for block in blocks}  # the sum can only rise where a block begins
    return max((sum(b.size for b in blocks if b.first <= step <= b.last) for step in steps), default=0)


def arena_size(blocks: Sequence[Lifetime], offsets: Sequence[int]) -> int:
    """Bytes from 0 to the end of the highest block."""
    return max((offset + block.size for block, offset in zip(blocks, offsets, strict=True)), default=0)


def allocate(blocks: Sequence[Lifetime]) -> tuple[int, ...]:
    """An offset per block so that blocks alive at the same step do not overlap.

    Offsets are sums of sizes: see :func:`with_aligned_sizes`.
    """
    placer = _Placer(blocks)
    bound = lower_bound(blocks)
    indices = range(len(blocks))
    orders = [
        sorted(indices, key=lambda i: (-blocks[i].size, blocks[i].first)),
        sorted(indices, key=lambda i: (-(blocks[i].last - blocks[i].first), -blocks[i].size)),
        sorted(indices, key=lambda i: (-blocks[i].size * (1 + blocks[i].last - blocks[i].first), blocks[i].first)),
        sorted(indices, key=lambda i: (blocks[i].first, -blocks[i].last, -blocks[i].size)),
        sorted(indices, key=lambda i: (-placer.pressure[i], -blocks[i].size)),
    ]
    best_order, best = orders[0], placer.place(orders[0])
    for order in orders[1:]:
        offsets = placer.place(order)
        if arena_size(blocks, offsets) < arena_size(blocks, best):
            best_order, best = order, offsets
    return _improve(placer, blocks, best_order, best, bound)


class _Placer:
    """Greedy first-fit placement. Overlaps in time are found once; each order then costs a few comparisons a block."""

    def __init__(self, blocks: Sequence[Lifetime]) -> None:
        self._sizes = [block.size for block in blocks]
        self._neighbours = [
            [j for j, other in enumerate(blocks) if j != i and other.first <= block.last and block.first <= other.last]
            for i, block in enumerate(blocks)
        ]
        # Bytes that compete with a block over its lifetime: crowded blocks are the hard ones.
        self.pressure = [
            self._sizes[i] + sum(self._sizes[j] for j in others) for i, others in enumerate(self._neighbours)
        ]

    def place(self, order: Sequence[int]) -> tuple[int, ...]:
        """Each block of ``order`` at the lowest offset that its already placed neighbours leave free."""
        offsets = [-1] * len(self._sizes)
        for i in order:
            taken = sorted((offsets[j], offsets[j] + self._sizes[j]) for j in self._neighbours[i] if offsets[j] >= 0)
            offset = 0
            for start, end in taken:
                if offset + self._sizes[i] <= start:
                    break
                offset = max(offset, end)
            offsets[i] = offset
        return tuple(offsets)


def _improve(
    placer: _Placer, blocks: Sequence[Lifetime], order: list[int], offsets: tuple[int, ...], bound: int
) -> tuple[int, ...]:
    """Hill climbing over orders: a block that touches the top of the arena is placed earlier."""
    rng = random.Random(0)
    size = arena_size(blocks, offsets)
    for _ in range(_SEARCH_PLACEMENTS):
        if size <= bound:
            break
        top = [i for i, offset in enumerate(offsets) if offset + blocks[i].size == size]
        position = order.index(rng.choice(top))
        candidate = order.copy()
        candidate.insert(rng.randrange(position + 1), candidate.pop(position))
        if rng.random() < 0.3:
            a, b = rng.randrange(len(order)), rng.randrange(len(order))
            candidate[a], candidate[b] = candidate[b], candidate[a]
        placed = placer.place(candidate)
        if arena_size(blocks, placed) <= size:
            order, offsets, size = candidate, placed, arena_size(blocks, placed)
    return offsets
