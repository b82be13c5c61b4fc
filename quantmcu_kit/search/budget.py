"""Budgets that cannot be met: which one binds, and the smallest possible."""

from __future__ import annotations

import math

from quantmcu_kit.errors import EXIT_FAILED, QmkitError
from quantmcu_kit.search.problem import Budgets, Problem, Unit, bitops

_FLAGS = {"ram_bytes": "--ram", "flash_bytes": "--flash", "bitops": "--bitops", "cycles": "--latency"}
_UNITS = {"ram_bytes": "bytes of RAM", "flash_bytes": "bytes of flash", "bitops": "BitOPs", "cycles": "cycles"}
_LARGE = 1000
_ROUNDING = 1e-9  # of floating-point numbers that are whole in truth


def check_possible(problem: Problem) -> None:
    """Refuse budgets of RAM, flash and BitOPs that not even the narrowest widths meet.

    Cycles and the exact arena are not certain to fall with the widths: only a search can tell.

    Raises:
        QmkitError: ``infeasible-budget``.
    """
    budgets, narrowest = problem.budgets, problem.narrowest
    if budgets.ram_bytes is not None and problem.neighbours:
        worst = max(problem.neighbours, key=lambda together: together.bytes(narrowest))
        least = worst.bytes(narrowest)
        if least > budgets.ram_bytes:
            raise too_tight(budgets, "ram_bytes", least, where=worst.place)
    if budgets.flash_bytes is not None and (least := problem.flash_bytes(narrowest)) > budgets.flash_bytes:
        raise too_tight(budgets, "flash_bytes", least)
    if budgets.bitops is not None and (least := problem.total(bitops, narrowest)) > budgets.bitops:
        raise too_tight(budgets, "bitops", least)


def too_tight(budgets: Budgets, name: str, least: float, *, where: str = "", is_least: bool = True) -> QmkitError:
    """The error of a budget, named as in ``Budgets``, that cannot be met; in the units that the user gave it in.

    Args:
        least: the smallest possible, or what the search reached.
        where: the node that needs it.
        is_least: whether nothing smaller is possible.
    """
    unit = budgets.units.get(name, Unit(1, _UNITS[name]))
    limit = _rounded((getattr(budgets, name) + unit.beside) / unit.size, up=False)
    reached = _rounded((least + unit.beside) / unit.size, up=True)
    about = "about " if name == "flash_bytes" else ""
    others = {
        "ram_bytes": "smaller --patches, or 2 among --map-widths",
        "flash_bytes": "2 among --weight-widths, or a smaller network",
        "cycles": "or a smaller input" if is_least else "--search milp, or a smaller input",
    }.get(name, "or a smaller input")
    # Narrower widths may take more cycles.
    widths = "" if name == "cycles" else ", with every width that may go down at its narrowest"
    return QmkitError(
        "infeasible-budget",
        f"no widths fit {limit:,} {unit.name}",
        where=where,
        why=f"the smallest possible is {about}{reached:,}{widths}"
        if is_least
        else f"the smallest that the search reached is {about}{reached:,}",
        hint=f"{_FLAGS[name]} {reached}, {others}",
        exit_code=EXIT_FAILED,
    )


def _rounded(value: float, *, up: bool) -> int | float:
    """A whole number from a thousand on, else four digits, so that nobody is told what is not enough."""
    digits = 0 if value >= _LARGE or value == int(value) else 3 - math.floor(math.log10(value))
    scaled = value * 10**digits
    whole = math.ceil(scaled - _ROUNDING) if up else round(scaled)
    return whole if digits == 0 else whole / 10**digits
