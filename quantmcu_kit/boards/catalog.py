"""The board catalog: one TOML file per board under ``data/``."""

from __future__ import annotations

import difflib
import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from quantmcu_kit.errors import QmkitError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_DSP_CORES = frozenset(("cortex-m4f", "cortex-m7", "cortex-m33"))


@dataclass(frozen=True)
class Board:
    """A microcontroller board.

    Attributes:
        id: PlatformIO's board id, also the name of its TOML file.
        name: what is printed on the box.
        mcu, cpu: chip and processor core.
        clock_mhz: default clock.
        ram_bytes, flash_bytes: what PlatformIO's manifest gives a program.
        core_ram_bytes, core_flash_bytes: what the Arduino core itself takes of them (an empty sketch, rounded up).
        psram_bytes: external RAM, 0 for none.
        platform, framework: PlatformIO's names.
        flash_start, ram_start: first addresses of a program's flash and RAM; None for boards that are not emulated.
        flash_wait_states: of the flash at this clock, without its cache or prefetch.
        flash_read_bytes, flash_code_lines, flash_data_lines, flash_line_bytes: one read of the flash, and its caches
            for code and data; 0 where there are none or the chip's manual does not describe them.
    """

    id: str
    name: str
    mcu: str
    cpu: str
    clock_mhz: int
    ram_bytes: int
    flash_bytes: int
    core_ram_bytes: int
    core_flash_bytes: int
    psram_bytes: int
    platform: str
    framework: str
    flash_start: int | None = None
    ram_start: int | None = None
    flash_wait_states: int = 0
    flash_read_bytes: int = 0
    flash_code_lines: int = 0
    flash_data_lines: int = 0
    flash_line_bytes: int = 0

    @property
    def has_dsp(self) -> bool:
        """Whether the core has the DSP extension, for which kernels are written (``native/cortexm_dsp``)."""
        return self.cpu in _DSP_CORES

    @property
    def free_ram_bytes(self) -> int:
        """RAM left for a sketch."""
        return self.ram_bytes - self.core_ram_bytes

    @property
    def free_flash_bytes(self) -> int:
        """Flash left for a sketch."""
        return self.flash_bytes - self.core_flash_bytes


@lru_cache
def boards() -> tuple[Board, ...]:
    """Every board of the catalog, by id."""
    files = [entry for entry in resources.files(__package__).joinpath("data").iterdir() if entry.name.endswith(".toml")]
    entries = [(entry.name.removesuffix(".toml"), tomllib.loads(entry.read_text("utf-8"))) for entry in files]
    return tuple(sorted((Board(id=name, **fields) for name, fields in entries), key=lambda board: board.id))


def find(board_id: str) -> Board:
    """The board called ``board_id``; raises ``unknown-board`` with near matches."""
    by_id = {board.id: board for board in boards()}
    if board_id in by_id:
        return by_id[board_id]
    near = difflib.get_close_matches(board_id.lower(), by_id, n=3, cutoff=0.4)
    raise QmkitError(
        "unknown-board",
        f"no board is called {board_id!r}",
        why="memory limits come from the board's catalog entry",
        hint=f"did you mean {', '.join(near)}?" if near else "`qmkit boards` lists them all",
    )
