"""Offsets from lifetimes: nothing alive at the same time overlaps, and the arena is near its lower bound."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from quantmcu_kit.ir.plans import ARENA_ALIGNMENT, Lifetime
from quantmcu_kit.memory.allocate import allocate, arena_size, lower_bound, with_aligned_sizes


def lifetime(size: int, first: int, last: int) -> Lifetime:
    return Lifetime(f"{size}@{first}..{last}", size, first, last)


LIFETIMES = st.lists(
    st.builds(
        lambda size, first, length: lifetime(size, first, first + length),
        st.integers(1, 5000),
        st.integers(0, 12),
        st.integers(0, 6),
    ),
    max_size=14,
)


def overlaps(a: Lifetime, b: Lifetime) -> bool:
    return a.first <= b.last and b.first <= a.last


@given(LIFETIMES)
@settings(max_examples=60, deadline=None)
def test_blocks_alive_together_do_not_overlap(blocks):
    blocks = with_aligned_sizes(blocks, ARENA_ALIGNMENT)
    offsets = allocate(blocks)
    placed = list(zip(blocks, offsets, strict=True))
    for (a, at_a), (b, at_b) in itertools.combinations(placed, 2):
        if overlaps(a, b):
            assert at_a + a.size <= at_b or at_b + b.size <= at_a, (a, at_a, b, at_b)
    assert all(offset >= 0 and offset % ARENA_ALIGNMENT == 0 for offset in offsets)


@given(LIFETIMES)
@settings(max_examples=60, deadline=None)
def test_arena_lies_between_the_bound_and_the_sum(blocks):
    size = arena_size(blocks, allocate(blocks))
    assert lower_bound(blocks) <= size <= sum(block.size for block in blocks)


def test_bound_is_the_crowded_step():
    # Step 1 holds 100 + 50 + 16 bytes: 112 + 64 + 16 when aligned to 16.
    blocks = with_aligned_sizes(
        [lifetime(100, 0, 1), lifetime(50, 1, 2), lifetime(16, 1, 1), lifetime(40, 2, 3)], ARENA_ALIGNMENT
    )
    assert lower_bound(blocks) == 112 + 64 + 16


def test_chain_of_layers_meets_the_bound():
    sizes = [27648, 18432, 18432, 36864, 9216, 18432, 4608, 9216, 2304, 512, 2]
    blocks = [lifetime(size, max(0, step - 1), step) for step, size in enumerate(sizes)]
    assert arena_size(blocks, allocate(blocks)) == lower_bound(blocks) == 18432 + 36864


def test_residual_branches_meet_the_bound():
    # A map that outlives a block of three layers, twice over.
    blocks = [lifetime(9600, 0, 3), lifetime(28800, 1, 2), lifetime(28800, 2, 3), lifetime(9600, 3, 6)]
    blocks += [lifetime(28800, 4, 5), lifetime(14400, 5, 6), lifetime(9600, 6, 7)]
    assert arena_size(blocks, allocate(blocks)) == lower_bound(blocks)


def test_search_beats_first_fit_by_size():
    # Largest first puts A at 0 and B above it; the bound of 5 units needs B, alive throughout, at the bottom or top.
    unit = 16
    blocks = [
        lifetime(3 * unit, 0, 1),
        lifetime(2 * unit, 0, 3),
        lifetime(2 * unit, 2, 4),
        lifetime(1 * unit, 2, 3),
        lifetime(3 * unit, 4, 5),
    ]
    assert arena_size(blocks, allocate(blocks)) == lower_bound(blocks) == 5 * unit


def test_nothing_needs_nothing():
    assert allocate([]) == ()
    assert lower_bound([]) == 0


def test_same_lifetimes_same_offsets():
    blocks = [lifetime(97 * (i % 7 + 1), i // 2, i // 2 + i % 4) for i in range(40)]
    assert allocate(blocks) == allocate(list(blocks))
