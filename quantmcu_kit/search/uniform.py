"""One width for all feature maps and one for all weights: what every other search has to beat."""

from __future__ import annotations

import itertools
import time

from quantmcu_kit.search.budget import check_possible
from quantmcu_kit.search.fits import meets, refusal
from quantmcu_kit.search.problem import INT8, Assignment, Choice, Kind, Problem
from quantmcu_kit.search.result import SearchResult, result_of
from quantmcu_kit.search.vdqs import Settings

Pair = tuple[int, int]  # bits of feature maps, bits of weights


def uniform(problem: Problem, settings: Settings) -> SearchResult:
    """The widest pair of widths that meets the budgets; what may not have them takes its next narrower width.

    Several pairs are widest where wider maps ask for narrower weights: the one of least predicted loss is taken, and of
    equals the one with wider maps. λ plays no part.

    Raises:
        QmkitError: ``infeasible-budget``: no pair meets a budget.
    """
    started = time.perf_counter()
    check_possible(problem)
    candidates = {pair: _assignment(problem, pair) for pair in itertools.product(*map(sorted, _widths(problem)))}
    fitting = {pair: bits for pair, bits in candidates.items() if meets(problem, bits)}
    if not fitting:
        raise refusal(problem, next(iter(candidates.values())))
    widest = [pair for pair in fitting if not any(_is_wider(other, pair) for other in fitting)]
    best = min(widest, key=lambda pair: (problem.predicted(fitting[pair]), -pair[0]))
    return result_of(problem, fitting[best], "uniform", seconds=time.perf_counter() - started)


def _widths(problem: Problem) -> tuple[set[int], set[int]]:
    """Candidates of feature maps and of weights; fixed ones decide only where there are no others."""
    found = []
    for kind in (Kind.MAP, Kind.WEIGHTS):
        choices = [choice for choice in problem.choices if choice.kind is kind]
        free = [choice for choice in choices if not choice.is_fixed]
        found.append({bits for choice in free or choices for bits in choice.widths} or {INT8})
    return found[0], found[1]


def _assignment(problem: Problem, pair: Pair) -> Assignment:
    return tuple(_nearest(choice, pair[choice.kind is Kind.WEIGHTS]) for choice in problem.choices)


def _nearest(choice: Choice, bits: int) -> int:
    """The widest candidate that is no wider; the narrowest where all are."""
    return next((width for width in choice.widths if width <= bits), choice.widths[-1])


def _is_wider(one: Pair, other: Pair) -> bool:
    return one != other and all(a >= b for a, b in zip(one, other, strict=True))
