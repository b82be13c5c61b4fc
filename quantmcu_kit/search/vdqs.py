"""VDQS: every feature map takes the width of its best score; then widths go down until the budgets are met.

S(i, b) = −λ·Ω(i, b) + (1 − λ)·Φ(i, b) (Tao et al., DATE 2024): Ω is what choice i loses at b bits, Φ the cost that it
saves there when nothing else is lowered, each divided by its largest value in the whole search. Normalised map by map,
every map would gain and lose about the same, and λ would flip all of them at once.

The paper repairs memory: while two adjacent maps break the limit, the one whose score falls least goes down. Flash,
BitOPs and cycles are repaired likewise, but with what least loses accuracy per byte or cost saved: there, narrowing a
small tensor is no help. Then what a later and larger step made needless is taken back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.search.budget import check_possible, too_tight
from quantmcu_kit.search.fits import cost_limits, meets
from quantmcu_kit.search.problem import Assignment, Kind, Neighbours, Problem
from quantmcu_kit.search.result import Score, SearchResult, result_of
from quantmcu_kit.search.saver import restore, save

Progress = Callable[[str, int, int], None]


def _silent(stage: str, done: int, total: int) -> None:
    return None


@dataclass(frozen=True)
class Settings:
    """Options of a search.

    Attributes:
        trade_off: λ in [0, 1]: 1 counts accuracy only, 0 cost only.
        scores_weights: weights take their best score too; else they are lowered only where a budget needs it.
        progress: told (stage, done, total) by searches that take long.
        state: folder in which such searches keep what an interrupted one can go on from; None: nowhere.
    """

    trade_off: float = 0.5
    scores_weights: bool = False
    progress: Progress = field(default=_silent, compare=False)
    state: Path | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.trade_off <= 1:
            raise QmkitError(
                "bad-option",
                f"--trade-off {self.trade_off} is not possible",
                why="it weighs accuracy against cost, from 0 (cost only) to 1 (accuracy only)",
                hint="--trade-off 0.5",
            )


def vdqs(problem: Problem, settings: Settings) -> SearchResult:
    """Widths by score, repaired until the budgets are met. Deterministic.

    Raises:
        QmkitError: ``infeasible-budget``: no widths meet a budget, or the search reaches none that do.
    """
    started = time.perf_counter()
    check_possible(problem)
    table = _Table.of(problem)
    trade_off = settings.trade_off
    best = table.best(trade_off, settings.scores_weights)
    bits = list(best)
    _repair(problem, table, trade_off, bits)
    restore(problem, table.loss, best, bits, lambda widths: meets(problem, widths))
    scores = tuple(table.scores(trade_off))
    return result_of(
        problem,
        tuple(bits),
        "vdqs",
        scores=scores,
        trade_off=trade_off,
        seconds=time.perf_counter() - started,
    )


@dataclass(frozen=True)
class _Table:
    """Ω and Φ of every candidate width of every choice, normalised."""

    problem: Problem
    omega: tuple[tuple[float, ...], ...]
    phi: tuple[tuple[float, ...], ...]

    @staticmethod
    def of(problem: Problem) -> _Table:
        losses = [choice.losses for choice in problem.choices]
        saved = [
            tuple(saved_alone(problem, index, bits) for bits in c.widths) for index, c in enumerate(problem.choices)
        ]
        return _Table(problem, _normalised(losses), _normalised(saved))

    def score(self, index: int, bits: int, trade_off: float) -> float:
        """S."""
        at = self.problem.choices[index].widths.index(bits)
        return -trade_off * self.omega[index][at] + (1 - trade_off) * self.phi[index][at]

    def loss(self, index: int, bits: int) -> float:
        """Ω."""
        return self.omega[index][self.problem.choices[index].widths.index(bits)]

    def best(self, trade_off: float, scores_weights: bool) -> Assignment:
        """The width of the best score of each choice; the widest of equals."""
        return tuple(
            max(choice.widths, key=lambda bits, index=index: (self.score(index, bits, trade_off), bits))
            if choice.kind is Kind.MAP or scores_weights
            else choice.widths[0]
            for index, choice in enumerate(self.problem.choices)
        )

    def scores(self, trade_off: float) -> Iterable[Score]:
        """All of it, as data."""
        for index, choice in enumerate(self.problem.choices):
            for at, bits in enumerate(choice.widths):
                score = self.score(index, bits, trade_off)
                omega, phi = self.omega[index][at], self.phi[index][at]
                yield Score(choice.kind, choice.name, choice.branch_class, bits, omega, phi, score)


def saved_alone(problem: Problem, index: int, bits: int) -> float:
    """Cost of the works that a choice takes part in, before minus after it alone goes down from its widest."""
    before = problem.widest
    after = (*before[:index], bits, *before[index + 1 :])
    return sum(
        problem.cost_of(work, problem.cost, before) - problem.cost_of(work, problem.cost, after)
        for work in problem.works_of[index]
    )


def _normalised(rows: Iterable[tuple[float, ...]]) -> tuple[tuple[float, ...], ...]:
    """Divided by the largest value of all; as they are where none is positive."""
    table = tuple(rows)
    peak = max((value for row in table for value in row), default=0.0)
    return tuple(tuple(value / peak for value in row) for row in table) if peak > 0 else table


def _repair(problem: Problem, table: _Table, trade_off: float, bits: list[int]) -> None:
    """Lower ``bits`` until every budget is met."""
    _repair_neighbours(problem, table, trade_off, bits)
    _repair_flash(problem, table, bits)
    while True:
        for name, cost, limit in cost_limits(problem):
            reached = save(problem, table.loss, cost, limit, bits)
            if reached > limit:
                raise too_tight(problem.budgets, name, reached, is_least=False)
        if not _repair_arena(problem, table, trade_off, bits):
            return


def _repair_neighbours(problem: Problem, table: _Table, trade_off: float, bits: list[int]) -> None:
    """While maps that are in memory together break the limit, the one whose score falls least goes down."""
    limit = problem.budgets.ram_bytes
    if limit is None:
        return
    for together in problem.neighbours:
        while together.bytes(bits) > limit:
            lower = _loses_least(problem, table, trade_off, bits, together)
            assert lower is not None, "the narrowest widths were found to fit"
            bits[lower[0]] = lower[1]


def _loses_least(
    problem: Problem, table: _Table, trade_off: float, bits: list[int], together: Neighbours
) -> tuple[int, int] | None:
    """(choice, width) whose score falls least by going down, the first of equals; None where nothing is left to lower.

    Of each choice, the next width that takes fewer bytes: one channel takes a byte at any.
    """
    falls = []
    for index in sorted({block.choice for block in together.blocks}):
        own = [block for block in together.blocks if block.choice == index]
        size = sum(block.bytes(bits[index]) for block in own)
        for width in problem.choices[index].widths:
            if width < bits[index] and sum(block.bytes(width) for block in own) < size:
                fall = table.score(index, bits[index], trade_off) - table.score(index, width, trade_off)
                falls.append((fall, index, width))
                break
    return min(falls)[1:] if falls else None


def _repair_arena(problem: Problem, table: _Table, trade_off: float, bits: list[int]) -> bool:
    """Likewise where the exact arena breaks the limit, among the neighbours that need most. Whether any went down."""
    limit = problem.budgets.ram_bytes
    if limit is None or problem.arena is None:
        return False
    is_lower = False
    while (reached := problem.ram_bytes(tuple(bits))) > limit:
        by_size = sorted(problem.neighbours, key=lambda together: -together.bytes(bits))
        lowered = (_loses_least(problem, table, trade_off, bits, together) for together in by_size)
        lower = next((found for found in lowered if found is not None), None)
        if lower is None:
            where = by_size[0].place if by_size else ""
            raise too_tight(problem.budgets, "ram_bytes", reached, where=where, is_least=False)
        bits[lower[0]] = lower[1]
        is_lower = True
    return is_lower


def _repair_flash(problem: Problem, table: _Table, bits: list[int]) -> None:
    """While the weights do not fit, those that lose least per byte saved go down."""
    limit = problem.budgets.flash_bytes
    if limit is None:
        return
    while problem.flash_bytes(bits) > limit:
        _, index, narrower = min(
            ((table.loss(index, narrower) - table.loss(index, bits[index])) / saved, index, narrower)
            for index, choice in enumerate(problem.choices)
            if choice.kind is Kind.WEIGHTS
            for narrower in choice.widths
            if narrower < bits[index]
            if (saved := choice.weight_bytes(bits[index]) - choice.weight_bytes(narrower)) > 0
        )
        bits[index] = narrower
