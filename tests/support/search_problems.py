"""Small search problems with numbers that can be followed by hand."""

from __future__ import annotations

import dataclasses
import itertools

from hypothesis import strategies as st

from quantmcu_kit.ir.plans import WHOLE
from quantmcu_kit.search.problem import (
    WIDTHS,
    Block,
    Budgets,
    Choice,
    Kind,
    Neighbours,
    Overlap,
    Problem,
    Work,
)

FIXED = (8,)


def map_choice(name, widths=WIDTHS, losses=(), elements=8):
    return Choice(Kind.MAP, WHOLE, (name,), elements, 1, widths, losses)


def weight_choice(name, elements, run, widths=WIDTHS, losses=()):
    return Choice(Kind.WEIGHTS, WHOLE, (name,), elements, run, widths, losses)


def chain(x_channels=4, **changes):
    """x -> a -> b -> y; x and y are fixed, and so are the weights.

    Pixels x channels: x 4 x ``x_channels``, a 4 x 8, b 4 x 4, y 4 x 1. MACs: 100, 50, 25.
    """
    choices = (
        map_choice("x", FIXED),
        map_choice("a", losses=(0.0, 1.0, 4.0)),
        map_choice("b", losses=(0.0, 0.5, 2.0)),
        map_choice("y", FIXED),
        *(weight_choice(f"w{index}", 10, 10, FIXED) for index in range(3)),
    )
    works = tuple(Work(f"n{i}", WHOLE, macs, 4 + i, (i,), i + 1) for i, macs in enumerate((100, 50, 25)))
    channels = (x_channels, 8, 4, 1)
    blocks = [Block(index, 4, count) for index, count in enumerate(channels)]
    neighbours = tuple(Neighbours(f"n{i}", (blocks[i], blocks[i + 1])) for i in range(3))
    return dataclasses.replace(Problem(choices, works, neighbours), **changes)


def assignments(problem):
    """All of them."""
    return itertools.product(*(choice.widths for choice in problem.choices))


def bits_of(result, *names):
    return tuple(result.feature_maps[name][WHOLE] for name in names)


def sizes_of(problem, bits):
    """RAM, flash and BitOPs of an assignment, written anew from the definitions."""
    ram = 0
    for together in problem.neighbours:
        sizes = [b.pixels * ((b.channels * bits[b.choice] + 7) // 8) for b in together.blocks]
        shared = sum(min(sizes[o.first], sizes[o.second], o.most or 10**9) for o in together.overlaps)
        ram = max(ram, together.fixed_bytes + sum(sizes) - shared)
    flash = sum(
        choice.elements // choice.run * ((choice.run * width + 7) // 8)
        for choice, width in zip(problem.choices, bits, strict=True)
        if choice.kind is Kind.WEIGHTS
    )
    work = sum(w.macs * bits[w.weights] * bits[w.inputs[0]] for w in problem.works if w.weights is not None)
    return ram, flash, work


@st.composite
def random_problems(draw, most_maps=4):
    """Chains, some with a map that stays alive until its sum; budgets between what is possible and what is not."""
    count = draw(st.integers(2, most_maps))
    candidates = st.sampled_from([(8, 4, 2), (8, 4), (8, 2), (8,)])
    loss = st.integers(0, 20).map(lambda value: value / 4)
    choices = []
    for index in range(count):
        widths = draw(candidates)
        losses = (0.0, *(draw(loss) for _ in widths[1:]))
        choices.append(map_choice(f"m{index}", widths, losses))
    for index in range(count - 1):
        widths = draw(candidates)
        run = draw(st.integers(1, 9))
        losses = (0.0, *(draw(loss) for _ in widths[1:]))
        choices.append(weight_choice(f"w{index}", run * draw(st.integers(1, 9)), run, widths, losses))
    works = [Work(f"n{i}", WHOLE, draw(st.integers(1, 50)), count + i, (i,), i + 1) for i in range(count - 1)]
    blocks = [Block(i, draw(st.integers(1, 6)), draw(st.integers(1, 9))) for i in range(count)]
    neighbours = [Neighbours(f"n{i}", (blocks[i], blocks[i + 1])) for i in range(count - 1)]
    if count >= 3 and draw(st.booleans()):
        works.append(Work("sum", WHOLE, 0, None, (0, count - 2), count - 1))
        most = draw(st.sampled_from([None, 1, 7]))
        kept = (blocks[0], blocks[count - 2], blocks[count - 1])
        neighbours.append(Neighbours("sum", kept, (Overlap(0, 2, most),), draw(st.integers(0, 5))))
    problem = Problem(tuple(choices), tuple(works), tuple(neighbours))
    least, most = (sizes_of(problem, bits) for bits in (problem.narrowest, problem.widest))
    limits = [
        draw(st.one_of(st.none(), st.integers(max(1, low - 2), high))) for low, high in zip(least, most, strict=True)
    ]
    return dataclasses.replace(problem, budgets=Budgets(*limits))


def chain_of(count, candidates=WIDTHS):
    """``count`` maps of growing loss and falling size, with weights: for how long a search takes."""

    def losses(unit):
        return tuple(unit * step for step in range(len(candidates)))

    maps = [map_choice(f"m{i}", candidates, losses(0.01 * (i % 7 + 1))) for i in range(count)]
    weights = [weight_choice(f"w{i}", 160, 16, candidates, losses(0.02 * (i % 5 + 1))) for i in range(count - 1)]
    works = tuple(Work(f"n{i}", WHOLE, 1000 + 37 * i, count + i, (i,), i + 1) for i in range(count - 1))
    blocks = [Block(i, 1 + count - i, 16) for i in range(count)]
    neighbours = tuple(Neighbours(f"n{i}", (blocks[i], blocks[i + 1])) for i in range(count - 1))
    return Problem((*maps, *weights), works, neighbours)
