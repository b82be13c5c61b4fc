"""What searches go on from when they were interrupted: every assignment that was measured, in a file.

A search is deterministic and nearly all of its time is measuring. So it is run again from its beginning, and what was
measured already is read instead: it comes to the same result. A file belongs to one problem, told by a digest of all
that a search sees of it, measured losses included. A broken line, as an interruption leaves it, is passed over.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from quantmcu_kit.search.problem import Assignment, Problem, bitops
from quantmcu_kit.user_cache import prune

_FORMAT = 2  # of a line: an assignment, and the loss of each picture


def remembering(problem: Problem, folder: Path | None) -> Problem:
    """The problem, whose measurements are kept in ``folder`` and are not made twice. None: they are not kept."""
    if problem.evaluate is None or folder is None:
        return problem
    return dataclasses.replace(problem, evaluate=_Remembered(problem.evaluate, folder / f"{digest(problem)}.jsonl"))


def digest(problem: Problem) -> str:
    """Of the choices with their losses, the works with their costs, memory and budgets."""
    both = (problem.widest, problem.narrowest)
    budgets = problem.budgets
    parts = [
        _FORMAT,
        [(c.kind.value, c.branch_class, c.tensors, c.elements, c.widths, c.losses) for c in problem.choices],
        [dataclasses.astuple(work) for work in problem.works],
        [[together.bytes(bits) for together in problem.neighbours] for bits in both],
        [budgets.ram_bytes, budgets.flash_bytes, budgets.bitops, budgets.cycles, problem.fixed_flash_bytes],
        [problem.total(cost, bits) for cost in (bitops, problem.cycles) if cost for bits in both],
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


class _Remembered:
    """A measure with a file. Where it cannot be written, nothing is kept."""

    def __init__(self, evaluate: Callable[[Assignment], np.ndarray], path: Path) -> None:
        self._evaluate, self._path = evaluate, path
        self._known = _read(path)

    def __call__(self, bits: Assignment) -> np.ndarray:
        if bits not in self._known:
            self._known[bits] = self._evaluate(bits)
            with suppress(OSError):
                self._write(bits)
        return self._known[bits]

    def _write(self, bits: Assignment) -> None:
        if not self._path.is_file():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            prune(self._path.parent)
        with self._path.open("a", encoding="ascii") as file:
            file.write(f"{json.dumps([bits, self._known[bits].tolist()])}\n")


def _read(path: Path) -> dict[Assignment, np.ndarray]:
    known: dict[Assignment, np.ndarray] = {}
    with suppress(OSError, UnicodeDecodeError):
        for line in path.read_text("ascii").splitlines():
            with suppress(ValueError, TypeError, OverflowError, RecursionError):
                bits, losses = json.loads(line)
                known[tuple(bits)] = np.array(losses, float).reshape(-1)
    return known
