"""Budgets that cannot be met: which one binds, and the smallest possible."""

from __future__ import annotations

from quantmcu_kit.errors import EXIT_FAILED, QmkitError
from quantmcu_kit.search.problem import Problem, bitops

_FLAGS = {"ram_bytes": "--ram", "flash_bytes": "--flash", "bitops": "--bitops", "cycles": "--latency"}
_NAMES = {"ram_bytes": "bytes of RAM", "flash_bytes": "bytes of flash", "bitops": "BitOPs", "cycles": "cycles"}


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
            raise too_tight("ram_bytes", budgets.ram_bytes, least, where=worst.place)
    if budgets.flash_bytes is not None and (least := problem.flash_bytes(narrowest)) > budgets.flash_bytes:
        raise too_tight("flash_bytes", budgets.flash_bytes, least)
    if budgets.bitops is not None and (least := problem.total(bitops, narrowest)) > budgets.bitops:
        raise too_tight("bitops", budgets.bitops, least)


def too_tight(name: str, limit: float, least: float, *, where: str = "", is_least: bool = True) -> QmkitError:
    """The error of a budget, named as in ``Budgets``, that cannot be met.

    Args:
        least: the smallest possible, or what the search reached.
        where: the node that needs it.
        is_least: whether nothing smaller is possible.
    """
    found = "the smallest possible is" if is_least else "the smallest that the search reached is"
    rounded = -int(-least // 1)  # upwards
    others = {
        "ram_bytes": "smaller --patches, or 2 among --map-widths",
        "flash_bytes": "2 among --weight-widths, or a smaller network",
    }.get(name, "or a smaller input")
    return QmkitError(
        "infeasible-budget",
        f"no widths fit {limit:,.0f} {_NAMES[name]}",
        where=where,
        why=f"{found} {rounded:,}, with every width that may go down at its narrowest"
        if is_least
        else f"{found} {rounded:,}",
        hint=f"{_FLAGS[name]} {rounded}, {others}",
        exit_code=EXIT_FAILED,
    )
