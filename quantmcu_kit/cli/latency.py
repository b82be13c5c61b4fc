"""How an estimated latency is shown."""

from __future__ import annotations

from rich.text import Text

from quantmcu_kit.boards.catalog import Board
from quantmcu_kit.emit.latency import Latency


def latency_lines(latency: Latency | None, board: Board) -> tuple[Text, ...]:
    """The estimate and what it holds for, or why there is none."""
    if latency is None:
        return (Text(f"not estimated: there is no cycle model of the {board.cpu}", "dim"),)
    cycles = f"  {latency.cycles:,} cycles at {board.clock_mhz} MHz"
    flash = ", flash without waits" if board.flash_wait_states else ""
    at_most = "at most " if latency.is_bound else ""
    slowest = ", every patch of the class that takes longest" if latency.is_bound else ""
    return (
        Text.assemble((f"{at_most}about {latency.milliseconds:,.2f} ms", "bold"), cycles + slowest + flash),
        Text(f"within {100 * latency.error:.1f} % of `qmkit bench` ({latency.compiler})", "dim"),
    )
