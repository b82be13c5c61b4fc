"""Mixed-integer programming: the widths of least loss within the budgets, by scipy's HiGHS.

The sum of the choices' losses is minimised, which is exact as far as losses add up. They do not quite: two narrow maps
may harm one another, or hide one another's harm. So, where assignments can be measured (``Problem.evaluate``), several
are: the optima of the losses and of their roots, which weigh many small losses more, and what VDQS finds. Next come the
undecided choices: those on which these solutions, and the optima of larger and smaller budgets, do not agree. Each is
measured anew, all others being as in the best so far, and the program is solved again for changes among them, for any
number at first and then for fewer and fewer. Where that lowers the measured loss by less than was predicted, it is done
again from there.

What few pictures tell of all choices together is noisy: rounding errors of a deep network add up to chance. The best of
many measurements is the luckiest, and worse on other pictures than the predicted optimum. So a measurement counts where
it differs from what is predicted, or from the best so far, by more than its standard error, picture by picture, allows.

The exact arena is no linear function of widths. Where a solution breaks it, maps that are in memory together are looked
for that break it even with all others at their narrowest; one of them has to go down, and the program is solved again.
That arenas do not grow where maps shrink is taken for granted here.
"""

from __future__ import annotations

import dataclasses
import math
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.search.budget import check_possible, too_tight
from quantmcu_kit.search.fits import cost_limits, meets
from quantmcu_kit.search.linear import Program, Row, Terms
from quantmcu_kit.search.problem import Assignment, Kind, Problem
from quantmcu_kit.search.result import SearchResult, result_of
from quantmcu_kit.search.saver import restore
from quantmcu_kit.search.vdqs import Settings, saved_alone, vdqs

_SECONDS = 30.0  # of one run of the solver, at most; the gap that it leaves is stated
_MOST_CUTS = 200  # of one solution after another that breaks the exact budgets
_POWERS = (0.75, 0.5)  # of losses
_SCALES = (0.7, 0.85, 1.15, 1.4)  # of budgets that undecided choices are looked for in
_ROUNDS = 3  # of measuring undecided choices anew, at most
_AS_PREDICTED = 0.9  # of the improvement that is predicted: there is no more to be learned
_CHANCE = 2.0  # standard errors: what differs by less, does so by chance
_SCALE = 1000.0  # of the objective: the solver's absolute tolerance is 1e-6
_Loss = TypeVar("_Loss", float, np.ndarray)


@dataclass(frozen=True)
class _Solution:
    """Widths, and a lower bound of the objective that they were found for."""

    bits: Assignment
    bound: float


@dataclass(frozen=True)
class _Step:
    """Better widths, and whether they are about as much better as was predicted."""

    bits: Assignment
    is_as_predicted: bool


def milp(problem: Problem, settings: Settings) -> SearchResult:
    """The widths of least loss. λ < 1 weighs it against cost: λ·ΣΩ + (1 − λ)·cost, normalised as in VDQS.

    Deterministic, unless the solver runs into its time limit.

    Raises:
        QmkitError: ``infeasible-budget``: no widths meet a budget.
    """
    started = time.perf_counter()
    check_possible(problem)
    search = _Search(problem, settings)
    best = search.optimum(search.objective(search.program.losses))
    if best is None:
        bits, gap = _unproven(problem, settings), None
    else:
        bits = search.measured(best.bits) if problem.evaluate else search.least([best.bits, *search.greedy()])
        gap = _gap(search.value(bits, problem.predicted(bits)), best.bound)
    return result_of(
        problem,
        bits,
        "milp",
        trade_off=settings.trade_off if settings.trade_off < 1 else None,
        gap=gap,
        seconds=time.perf_counter() - started,
    )


def _unproven(problem: Problem, settings: Settings) -> Assignment:
    """What VDQS finds where the solver does not.

    Raises:
        QmkitError: ``infeasible-budget``; of a cost that no widths meet, with the least that the solver finds within
            the other budgets, which is the least there is unless its time runs out.
    """
    try:
        return problem.assignment(vdqs(problem, settings).precision)
    except QmkitError as error:
        for name, cost, limit in cost_limits(problem):
            without = dataclasses.replace(problem.budgets, **{name: None})
            search = _Search(dataclasses.replace(problem, budgets=without), settings)
            terms = {at: factor / max(1.0, limit) for at, factor in search.program.cost(cost)[0].items()}
            found = search.solve(terms)
            if found is not None and (least := problem.total(cost, found.bits)) > limit:
                raise too_tight(problem.budgets, name, least) from error
        raise


def _gap(value: float, bound: float) -> float:
    """What of a value may be saved, given a lower bound."""
    return max(0.0, round((value - bound) / value, 6)) if value > 0 else 0.0


class _Search:
    """The program of a problem, and what was learned while solving it."""

    def __init__(self, problem: Problem, settings: Settings) -> None:
        self._problem, self._settings = problem, settings
        self.program = _program(problem)
        self._fixed_cost = self.program.cost(problem.cost)[1] if settings.trade_off < 1 else 0.0
        self._cuts: list[Row] = []
        self._peak_loss = max((loss for c in problem.choices for loss in c.losses), default=0.0) or 1.0
        pairs = ((index, bits) for index, choice in enumerate(problem.choices) for bits in choice.widths[1:])
        self._peak_saved = max((saved_alone(problem, *pair) for pair in pairs), default=0.0) or 1.0
        self._known: dict[Assignment, np.ndarray] = {}

    def objective(self, losses: Terms, program: Program | None = None) -> Terms:
        """λ·Ω + (1 − λ)·cost by column of a program, without what does not depend on widths."""
        weight = self._settings.trade_off
        terms = {at: weight * loss / self._peak_loss for at, loss in losses.items()}
        costs = (program or self.program).cost(self._problem.cost)[0] if weight < 1 else {}
        for at, factor in costs.items():
            terms[at] = terms.get(at, 0.0) + (1 - weight) * factor / self._peak_saved
        return terms

    def value(self, bits: Assignment, loss: _Loss) -> _Loss:
        """The objective of widths that lose ``loss``, a number or one per picture."""
        weight, problem = self._settings.trade_off, self._problem
        cost = problem.total(problem.cost, bits) - self._fixed_cost if weight < 1 else 0.0
        fixed = sum(c.losses[0] for c in problem.choices if c.is_fixed)
        return weight * (loss - fixed) / self._peak_loss + (1 - weight) * cost / self._peak_saved

    def least(self, candidates: Sequence[Assignment]) -> Assignment:
        """The best by predicted loss, the first of equals."""
        return min(candidates, key=lambda bits: self.value(bits, self._problem.predicted(bits)))

    def greedy(self) -> list[Assignment]:
        """What VDQS finds, if it does."""
        try:
            return [self._problem.assignment(vdqs(self._problem, self._settings).precision)]
        except QmkitError:
            return []

    def optimum(self, objective: Terms) -> _Solution | None:
        """As :meth:`solve`, without what lowers a width to no end."""
        found = self.solve(objective)
        return found and dataclasses.replace(found, bits=self._widened(found.bits))

    def solve(self, objective: Terms, *rows: Row) -> _Solution | None:
        """The optimum that meets every budget exactly; None where there is none, or none is found in time."""
        for _ in range(_MOST_CUTS):
            found = _highs(self.program, objective, [*self.program.rows, *self._cuts, *rows])
            if found is None:
                return None
            values, bound = found
            bits = self.program.assignment(values)
            if meets(self._problem, bits):
                return _Solution(bits, bound)
            self._cuts.append(self._cut(bits))
        return None

    def _widened(self, bits: Assignment) -> Assignment:
        """Without what lowers the predicted loss at no cost, which a solver out of time may have left."""
        if self._settings.trade_off < 1:
            return bits
        problem, widths = self._problem, list(bits)
        restore(problem, lambda i, b: problem.choices[i].loss(b), problem.widest, widths, lambda w: meets(problem, w))
        return tuple(widths)

    def _cut(self, bits: Assignment) -> Row:
        """A row that widths which break a budget exactly do not keep."""
        problem = self._problem
        limit = problem.budgets.ram_bytes
        if limit is None or problem.ram_bytes(bits) <= limit:
            return self.program.other(bits)  # by less than the solver's tolerance
        by_size = sorted(problem.neighbours, key=lambda each: -each.bytes(bits))
        groups = [{block.choice for block in each.blocks} for each in by_size]
        maps = {index for index, choice in enumerate(problem.choices) if choice.kind is Kind.MAP}
        for parts in groups:
            alone = tuple(bits[i] if i in parts else low for i, low in enumerate(problem.narrowest))
            if problem.ram_bytes(alone) > limit:
                return self.program.narrower(sorted(parts), bits)
        return self.program.narrower(sorted(maps), bits)

    def _losses(self, bits: Assignment) -> np.ndarray:
        """The measured loss of each picture."""
        if bits not in self._known:
            self._known[bits] = self._problem.evaluate(bits)
        return self._known[bits]

    def _is_better(self, bits: Assignment, than: Assignment) -> bool:
        """Whether widths measure better by more than chance."""
        less = self.value(than, self._losses(than)) - self.value(bits, self._losses(bits))
        return less.mean() > _chance(less)

    def _change(self, best: Assignment, index: int, bits: int) -> float:
        """What a width of one choice loses more than that in ``best``: as predicted, unless measured otherwise."""
        choice = self._problem.choices[index]
        predicted = choice.loss(bits) - choice.loss(best[index])
        more = self._losses((*best[:index], bits, *best[index + 1 :])) - self._losses(best)
        return predicted if abs(more.mean() - predicted) <= _chance(more) else float(more.mean())

    def measured(self, first: Assignment) -> Assignment:
        """The best that is found by measuring, from the predicted optimum on."""
        losses = self.program.losses
        candidates = {first: None} | dict.fromkeys(self.greedy())
        for power in _POWERS:
            shape = {at: self._peak_loss * (max(0.0, loss) / self._peak_loss) ** power for at, loss in losses.items()}
            found = self.optimum(self.objective(shape))
            candidates |= {found.bits: None} if found else {}
        best = first
        for bits in candidates:
            best = bits if self._is_better(bits, best) else best
        seen = [*candidates, *self._of_other_budgets()]
        for turn in range(_ROUNDS):
            step = self._better(best, seen, turn)
            if step is None:
                break
            best = step.bits
            seen.append(best)
            if step.is_as_predicted:
                break
        return best

    def _of_other_budgets(self) -> Iterator[Assignment]:
        """Predicted optima of somewhat smaller and larger budgets."""
        budgets = self._problem.budgets
        names = ("ram_bytes", "flash_bytes", "bitops", "cycles")
        limits = {name: getattr(budgets, name) for name in names if getattr(budgets, name) is not None}
        for scale in _SCALES if limits else ():
            scaled = dataclasses.replace(budgets, **{name: limit * scale for name, limit in limits.items()})
            program = _program(dataclasses.replace(self._problem, budgets=scaled))
            found = _highs(program, self.objective(program.losses, program), program.rows)
            if found is not None:
                yield program.assignment(found[0])

    def _better(self, best: Assignment, seen: Sequence[Assignment], turn: int) -> _Step | None:
        """Widths that measure better, by what undecided choices lose with all others as in ``best``; None: none found.

        Args:
            seen: assignments whose widths are tried.
        """
        tried = dict.fromkeys((i, bits) for each in seen for i, bits in enumerate(each) if bits != best[i])
        column = self.program.column
        losses = {at: 0.0 for (i, bits), at in column.items() if bits == best[i]}
        for done, (index, bits) in enumerate(tried, 1):
            losses[column[index, bits]] = self._change(best, index, bits)
            self._settings.progress(f"milp, round {turn + 1}", done, len(tried))
        others = Row({at: 1.0 for at in column.values() if at not in losses}, 0.0, 0.0)
        changes = len({index for index, _ in tried})
        while changes >= 1:
            found = self.solve(self.objective(losses), others, self.program.near(best, changes))
            if found is None or found.bits == best:
                return None
            if self._is_better(found.bits, best):
                predicted = sum(losses[at] for (i, bits), at in column.items() if bits == found.bits[i])
                more = float((self._losses(found.bits) - self._losses(best)).mean())
                return _Step(found.bits, more <= _AS_PREDICTED * predicted)
            changes //= 2
        return None


def _chance(differences: np.ndarray) -> float:
    """How far from zero the mean of paired differences may be by chance."""
    return float(_CHANCE * differences.std() / math.sqrt(len(differences)))


def _program(problem: Problem) -> Program:
    """All budgets but what the exact arena is more than its neighbours."""
    program = Program.of(problem)
    for _, cost, limit in cost_limits(problem):
        program.limit(*program.cost(cost), limit)
    return program


def _highs(program: Program, objective: Terms, rows: Sequence[Row]) -> tuple[np.ndarray, float] | None:
    """(values of columns, lower bound of the objective); None where no solution exists, or none is found in time."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    count = len(program.most)
    if not count:
        return np.empty(0), 0.0
    factors = np.zeros(count)
    factors[list(objective)] = list(objective.values())
    where = [(at, column, factor) for at, row in enumerate(rows) for column, factor in row.terms.items()]
    columns, places, values = [each[1] for each in where], [each[0] for each in where], [each[2] for each in where]
    matrix = csr_array((values, (places, columns)), shape=(len(rows), count))
    with _no_output():
        found = milp(
            _SCALE * factors,
            integrality=np.array(program.most) == 1.0,
            bounds=Bounds(0.0, np.array(program.most)),
            constraints=LinearConstraint(matrix, [row.low for row in rows], [row.high for row in rows]),
            options={"time_limit": _SECONDS, "mip_rel_gap": 1e-7},
        )
    if found.x is None:
        return None
    bound = found.mip_dual_bound
    return found.x, (bound if bound is not None and math.isfinite(bound) else found.fun) / _SCALE


@contextmanager
def _no_output() -> Iterator[None]:
    """HiGHS writes a line of its own to standard output now and then, whatever it is told; there may be JSON on it."""
    sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:  # there is none
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
