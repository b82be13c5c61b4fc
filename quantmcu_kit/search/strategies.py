"""The strategies there are: built in, or brought by other packages through entry points.

A package adds one by naming it in its ``pyproject.toml``::

    [project.entry-points."quantmcu_kit.search"]
    mine = "my_package:search"

where ``search`` is a :class:`Strategy`. What it returns is checked before anything is built from it.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Protocol

from quantmcu_kit.errors import EXIT_ENVIRONMENT, EXIT_FAILED, QmkitError
from quantmcu_kit.search.haq import check_installed, haq
from quantmcu_kit.search.memory_driven import memory_driven
from quantmcu_kit.search.milp import milp
from quantmcu_kit.search.problem import Problem, bitops
from quantmcu_kit.search.result import SearchResult
from quantmcu_kit.search.resume import remembering
from quantmcu_kit.search.uniform import uniform
from quantmcu_kit.search.vdqs import Settings, vdqs

GROUP = "quantmcu_kit.search"


class Strategy(Protocol):
    """A search: the same problem and settings must give the same result.

    One that takes long tells ``settings.progress``. Where ``problem.evaluate`` is given, it may measure assignments;
    what was measured before an interruption is not measured again.
    """

    def __call__(self, problem: Problem, settings: Settings) -> SearchResult:
        """Widths within the problem's budgets; a ``QmkitError`` where there are none."""


BUILT_IN: dict[str, Strategy] = {
    "vdqs": vdqs,
    "milp": milp,
    "memory-driven": memory_driven,
    "uniform": uniform,
    "haq": haq,
}


def saves_by_budgets(name: str) -> bool:
    """Whether only a budget is a reason to save, to the strategy of that name; VDQS weighs cost against loss."""
    return name in BUILT_IN and name != "vdqs"


def names() -> tuple[str, ...]:
    """Every strategy that ``find`` knows, built-in ones first."""
    added = sorted({entry.name for entry in _added()} - set(BUILT_IN))
    return (*BUILT_IN, *added)


def find(name: str) -> Strategy:
    """A strategy by name. Other packages cannot take the place of a built-in one.

    Raises:
        QmkitError: ``unknown-strategy``: there is none of that name; ``broken-strategy``: the package that brings it
            cannot be imported, or does not bring something callable; ``no-rl``: an extra is missing.
    """
    if name == "haq":
        check_installed()
    if name in BUILT_IN:
        return BUILT_IN[name]
    entry = next((entry for entry in _added() if entry.name == name), None)
    if entry is None:
        raise QmkitError(
            "unknown-strategy",
            f"there is no search {name!r}",
            why="the choices are " + ", ".join(names()),
            hint="--search vdqs, or install the package that brings it",
        )
    return _loaded(entry)


def run(name: str, problem: Problem, settings: Settings) -> SearchResult:
    """Search, and check what comes back: candidate widths only, and every budget met.

    Raises:
        QmkitError: what the strategy raises; ``strategy-failed``: it raises anything else, or breaks the rules.
    """
    strategy = find(name)
    try:
        result = strategy(remembering(problem, settings.state), settings)
    except QmkitError:
        raise
    except Exception as error:  # foreign code
        raise _failed(name, f"{type(error).__name__}: {error}") from error
    if not isinstance(result, SearchResult):
        raise _failed(name, f"it returns {type(result).__name__}, not SearchResult")
    try:
        assignment = problem.assignment(result.precision)
    except QmkitError as error:
        raise _failed(name, f"{error.message}: {error.why}") from None
    budgets = problem.budgets
    found = {
        "ram_bytes": (budgets.ram_bytes, problem.ram_bytes),
        "flash_bytes": (budgets.flash_bytes, problem.flash_bytes),
        "bitops": (budgets.bitops, lambda bits: problem.total(bitops, bits)),
        "cycles": (budgets.cycles, lambda bits: problem.total(problem.cycles, bits)),
    }
    for budget, (limit, measure) in found.items():
        if limit is not None and (reached := measure(assignment)) > limit:
            raise _failed(name, f"its widths take {reached:,.0f} of {limit:,.0f} {budget}")
    return result


def _added() -> list[EntryPoint]:
    return sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value))


def _loaded(entry: EntryPoint) -> Strategy:
    try:
        strategy = entry.load()
    except Exception as error:  # foreign code
        raise _broken(entry, f"{type(error).__name__}: {error}") from error
    if not callable(strategy):
        raise _broken(entry, f"it is {type(strategy).__name__}, which cannot be called")
    return strategy


def _broken(entry: EntryPoint, why: str) -> QmkitError:
    return QmkitError(
        "broken-strategy",
        f"search {entry.name!r} cannot be loaded from {entry.value}",
        why=why,
        hint="update or remove the package that brings it, or use --search vdqs",
        exit_code=EXIT_ENVIRONMENT,
    )


def _failed(name: str, why: str) -> QmkitError:
    return QmkitError(
        "strategy-failed",
        f"search {name!r} found no usable widths",
        why=why,
        hint="tell its authors, or use --search vdqs",
        exit_code=EXIT_FAILED,
    )
