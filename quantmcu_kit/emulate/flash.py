"""How a board's flash makes its core wait: wait states, and the caches that hide most of them."""

from __future__ import annotations

from dataclasses import dataclass

from quantmcu_kit.boards.catalog import Board

MOST_LINES = 64  # as in counter.c
_NO_CACHE_UNIT = 8


@dataclass(frozen=True)
class FlashWaits:
    """Flash at the board's clock.

    Attributes:
        wait_states: cycles that a read of flash waits.
        read_bytes: what one read brings.
        code_lines, data_lines: lines of the caches; 0 where there is none or it is not described. They are taken to be
            fully associative and to replace the line that was used longest ago. Without them, each taken branch and
            each load waits.
        line_bytes: of the caches.
    """

    wait_states: int
    read_bytes: int = _NO_CACHE_UNIT
    code_lines: int = 0
    data_lines: int = 0
    line_bytes: int = _NO_CACHE_UNIT

    def __post_init__(self) -> None:
        assert max(self.code_lines, self.data_lines) <= MOST_LINES and self.line_bytes % self.read_bytes == 0

    @staticmethod
    def of(board: Board) -> FlashWaits:
        """The board's flash."""
        if not board.flash_line_bytes:
            return FlashWaits(board.flash_wait_states)
        return FlashWaits(
            board.flash_wait_states,
            board.flash_read_bytes,
            board.flash_code_lines,
            board.flash_data_lines,
            board.flash_line_bytes,
        )

    def __str__(self) -> str:
        caches = f"{self.code_lines} and {self.data_lines} cache lines of {self.line_bytes} bytes for code and data"
        return f"{self.wait_states} wait states, {caches if self.code_lines else 'no cache'}"
