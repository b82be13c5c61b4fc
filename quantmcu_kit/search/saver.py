"""Lowering widths until a cost is within its budget, with what loses least per cost saved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from quantmcu_kit.search.problem import CostFunction, Problem

Move = tuple[tuple[int, int], ...]  # (choice, bits) of what goes down together


def save(
    problem: Problem, loss: Callable[[int, int], float], cost: CostFunction, limit: float, bits: list[int]
) -> float:
    """Lower ``bits`` until the cost is at most ``limit``, or nothing that goes down saves any more; returns the cost.

    A move lowers one choice, or a node's weights and input together: kernels may gain only where both are narrow.

    Args:
        loss: (choice, bits) -> Ω.
    """
    costs = [problem.cost_of(index, cost, bits) for index in range(len(problem.works))]
    total = sum(costs)
    if total <= limit:
        return total
    valued = {move: _value(problem, loss, cost, costs, bits, move) for move in _moves(problem)}
    touching: dict[int, list[Move]] = {}
    for move in valued:
        for index, _ in move:
            touching.setdefault(index, []).append(move)
    while total > limit:
        useful = ((value, move) for move, value in valued.items() if value is not None)
        best = min(useful, default=None)
        if best is None:
            break
        changed = {work for index, _ in best[1] for work in problem.works_of[index]}
        for index, width in best[1]:
            bits[index] = width
        for work in changed:
            costs[work] = problem.cost_of(work, cost, bits)
        total = sum(costs)
        for move in {move for index in _parts(problem, changed) for move in touching.get(index, ())}:
            valued[move] = _value(problem, loss, cost, costs, bits, move)
    return total


def restore(
    problem: Problem,
    loss: Callable[[int, int], float],
    start: Sequence[int],
    bits: list[int],
    fits: Callable[[Sequence[int]], bool],
) -> None:
    """Take back what later moves made needless: what loses most goes up first, no further than where it started.

    Args:
        start: widths before anything was lowered.
        fits: whether widths meet every budget; those of ``bits`` do.
    """
    while True:
        wider = [
            (loss(index, bits[index]) - loss(index, width), index, width)
            for index, choice in enumerate(problem.choices)
            for width in choice.widths
            if bits[index] < width <= start[index]
        ]
        for gain, index, width in sorted(wider, key=lambda each: (-each[0], *each[1:])):
            if gain > 0 and fits([*bits[:index], width, *bits[index + 1 :]]):
                bits[index] = width
                break
        else:
            return


def _moves(problem: Problem) -> Iterator[Move]:
    for index, choice in enumerate(problem.choices):
        for bits in choice.widths[1:]:
            yield ((index, bits),)
    pairs = {(work.inputs[0], work.weights): None for work in problem.works if work.weights is not None}
    for x, weights in pairs:
        for x_bits in problem.choices[x].widths[1:]:
            for weight_bits in problem.choices[weights].widths[1:]:
                yield ((x, x_bits), (weights, weight_bits))


def _parts(problem: Problem, works: set[int]) -> set[int]:
    """Choices that take part in some works."""
    found = set()
    for index in works:
        work = problem.works[index]
        found |= {*work.inputs, work.output} | ({work.weights} if work.weights is not None else set())
    return found


def _value(
    problem: Problem,
    loss: Callable[[int, int], float],
    cost: CostFunction,
    costs: list[float],
    bits: list[int],
    move: Move,
) -> tuple[float, float] | None:
    """(loss per cost saved, cost saved with a minus); None where the move is no way down or saves nothing."""
    if any(width >= bits[index] for index, width in move):
        return None
    lowered = list(bits)
    for index, width in move:
        lowered[index] = width
    works = sorted({work for index, _ in move for work in problem.works_of[index]})
    saved = sum(costs[work] - problem.cost_of(work, cost, lowered) for work in works)
    if saved <= 0:
        return None
    lost = sum(loss(index, width) - loss(index, bits[index]) for index, width in move)
    return lost / saved, -saved
