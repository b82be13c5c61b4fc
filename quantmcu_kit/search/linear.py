"""A search problem as a linear program over zeros and ones.

A column per candidate width of every choice that is not fixed; those of a choice add up to 1. A cost that depends on
several choices at once, as weights x maps, gets a column per combination of their widths, whose sums are tied to the
columns of the single choices: with those whole, these are. Memory that two maps share, which is the smaller of the two,
is a column no larger than either.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from quantmcu_kit.search.problem import Assignment, CostFunction, Kind, Neighbours, Problem

_MOST_COMBINATIONS = 3**6  # of the widths that one work's cost depends on

Terms = dict[int, float]  # factor by column


@dataclass(frozen=True)
class Row:
    """low ≤ Σ factor · column ≤ high."""

    terms: Terms
    low: float
    high: float


@dataclass
class Program:
    """Columns and rows under construction.

    Attributes:
        column: by (choice, bits).
        most: upper bound of each column. Those of at most 1 are 0 or 1.
    """

    problem: Problem
    column: dict[tuple[int, int], int] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    most: list[float] = field(default_factory=list)
    _groups: dict[tuple[int, ...], np.ndarray] = field(default_factory=dict)

    @staticmethod
    def of(problem: Problem) -> Program:
        """The choices, and the budgets of memory."""
        program = Program(problem)
        for index, choice in enumerate(problem.choices):
            if not choice.is_fixed:
                columns = [program._add(1.0) for _ in choice.widths]
                program.column |= {(index, bits): at for bits, at in zip(choice.widths, columns, strict=True)}
                program.rows.append(Row(dict.fromkeys(columns, 1.0), 1.0, 1.0))
        program._add_flash()
        for together in dict.fromkeys(problem.neighbours):
            program._add_neighbours(together)
        return program

    def _add(self, most: float) -> int:
        self.most.append(most)
        return len(self.most) - 1

    @property
    def losses(self) -> Terms:
        """Ω by column."""
        return {at: self.problem.choices[index].loss(bits) for (index, bits), at in self.column.items()}

    def assignment(self, values: Sequence[float]) -> Assignment:
        """Widths of a solution."""
        return tuple(
            choice.widths[0]
            if choice.is_fixed
            else max(choice.widths, key=lambda bits, index=index: values[self.column[index, bits]])
            for index, choice in enumerate(self.problem.choices)
        )

    def narrower(self, parts: Sequence[int], bits: Sequence[int]) -> Row:
        """At least one of some choices goes below the width that it has in ``bits``."""
        columns = [at for (index, width), at in self.column.items() if index in parts and width < bits[index]]
        return Row(dict.fromkeys(columns, 1.0), 1.0, math.inf)

    def near(self, bits: Sequence[int], changes: int) -> Row:
        """At most so many choices differ from ``bits``."""
        columns = {at: 1.0 for (index, width), at in self.column.items() if width == bits[index]}
        return Row(columns, len(columns) - changes, math.inf)

    def other(self, bits: Sequence[int]) -> Row:
        """At least one choice differs from ``bits``."""
        columns = {at: 1.0 for (index, width), at in self.column.items() if width == bits[index]}
        return Row(columns, -math.inf, len(columns) - 1)

    def limit(self, terms: Terms, constant: float, limit: float) -> None:
        """A row that keeps a cost within its limit, scaled to about 1."""
        scale = max(1.0, abs(limit))
        scaled = {at: factor / scale for at, factor in terms.items()}
        self.rows.append(Row(scaled, -math.inf, (limit - constant) / scale))

    def _add_flash(self) -> None:
        limit = self.problem.budgets.flash_bytes
        if limit is None:
            return
        terms: Terms = {}
        constant = float(self.problem.fixed_flash_bytes)
        for index, choice in enumerate(self.problem.choices):
            if choice.kind is Kind.WEIGHTS:
                constant += self._spread(index, {bits: choice.weight_bytes(bits) for bits in choice.widths}, terms)
        self.limit(terms, constant, limit)

    def _spread(self, index: int, values: dict[int, float], terms: Terms) -> float:
        """Add values by width of one choice to ``terms``; returns that of a fixed choice instead."""
        if self.problem.choices[index].is_fixed:
            return next(iter(values.values()))
        for bits, value in values.items():
            at = self.column[index, bits]
            terms[at] = terms.get(at, 0.0) + value
        return 0.0

    def _add_neighbours(self, together: Neighbours) -> None:
        limit, choices = self.problem.budgets.ram_bytes, self.problem.choices
        if limit is None or together.bytes(self.problem.widest) <= limit:
            return
        sizes: list[tuple[Terms, float]] = []
        for block in together.blocks:
            own: Terms = {}
            widths = choices[block.choice].widths
            sizes.append((own, self._spread(block.choice, {bits: block.bytes(bits) for bits in widths}, own)))
        terms: Terms = {}
        constant = together.fixed_bytes + sum(fixed for _, fixed in sizes)
        for own, _ in sizes:
            for at, factor in own.items():
                terms[at] = terms.get(at, 0.0) + factor
        for overlap in together.overlaps:
            at = self._add(math.inf if overlap.most is None else overlap.most)
            terms[at] = -1.0
            for part in (overlap.first, overlap.second):
                own, fixed = sizes[part]
                self.limit({at: 1.0, **{column: -factor for column, factor in own.items()}}, 0.0, fixed)
        self.limit(terms, constant, limit)

    def cost(self, cost: CostFunction) -> tuple[Terms, float]:
        """(terms, constant) of a cost per picture. Columns of combinations are added where they are missing."""
        tables: dict[tuple[int, ...], np.ndarray] = {}
        constant = 0.0
        for work in range(len(self.problem.works)):
            parts, table = self._table(work, cost)
            if not parts:
                constant += float(table)
            elif parts in tables:
                tables[parts] = tables[parts] + table
            else:
                tables[parts] = table
        terms: Terms = {}
        for parts, table in tables.items():
            for at, value in zip(self._combinations(parts).flat, table.flat, strict=True):
                terms[int(at)] = terms.get(int(at), 0.0) + float(value)
        return terms, constant

    def _table(self, index: int, cost: CostFunction) -> tuple[tuple[int, ...], np.ndarray]:
        """(choices that a work's cost depends on, cost by index of their widths)."""
        work, choices = self.problem.works[index], self.problem.choices
        used = {*work.inputs, work.output} | ({work.weights} if work.weights is not None else set())
        parts = tuple(sorted(part for part in used if not choices[part].is_fixed))
        widths = [choices[part].widths for part in parts]
        bits = list(self.problem.widest)
        if math.prod(map(len, widths)) > _MOST_COMBINATIONS:  # many inputs: counted at their widest, which is dearest
            return (), np.array(self.problem.cost_of(index, cost, bits))
        table = np.empty([len(each) for each in widths])
        for at, combination in zip(np.ndindex(table.shape), itertools.product(*widths), strict=True):
            for part, width in zip(parts, combination, strict=True):
                bits[part] = width
            table[at] = self.problem.cost_of(index, cost, bits)
        for axis in reversed(range(table.ndim)):
            first = table.take([0], axis)
            if (table == first).all():
                table, parts = first.squeeze(axis), (*parts[:axis], *parts[axis + 1 :])
        return parts, table

    def _combinations(self, parts: tuple[int, ...]) -> np.ndarray:
        """Columns of all combinations of the widths of some choices."""
        if len(parts) == 1:
            return np.array([self.column[parts[0], bits] for bits in self.problem.choices[parts[0]].widths])
        if parts not in self._groups:
            widths = [self.problem.choices[part].widths for part in parts]
            shape = [len(each) for each in widths]
            columns = np.array([self._add(1.0) for _ in range(math.prod(shape))]).reshape(shape)
            for axis, part in enumerate(parts):
                for at, bits in enumerate(widths[axis]):
                    single = {self.column[part, bits]: -1.0}
                    self.rows.append(Row(single | dict.fromkeys(_ints(columns.take(at, axis)), 1.0), 0.0, 0.0))
            self._groups[parts] = columns
        return self._groups[parts]


def _ints(columns: np.ndarray) -> Iterator[int]:
    return (int(each) for each in columns.flat)
