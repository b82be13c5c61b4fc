"""The core's own registers: the cycle counter (DWT), SysTick, and what start-up code touches of the system block.

Source: Armv7-M Architecture Reference Manual (DDI 0403E), B3.2 and C1.8. There are no interrupts: SysTick counts, and
sets its flag, but calls nothing.
"""

from __future__ import annotations

from collections.abc import Callable

PAGE = 0x1000
DWT, SCS = 0xE0001000, 0xE000E000
_DWT_CTRL, _DWT_CYCCNT = 0xE0001000, 0xE0001004
_SYSTICK_CTRL, _SYSTICK_LOAD, _SYSTICK_VAL = 0xE000E010, 0xE000E014, 0xE000E018
_CPUID, _AIRCR = 0xE000ED00, 0xE000ED0C
_ENABLE, _COUNTFLAG = 1, 1 << 16
_RELOAD_MASK = 0xFFFFFF
_RESET_REQUEST = 0x05FA0004
_CPUIDS = {
    "cortex-m0plus": 0x410CC601,
    "cortex-m3": 0x412FC231,
    "cortex-m4f": 0x410FC241,
    "cortex-m7": 0x411FC272,
    "cortex-m33": 0x410FD213,
}


class SystemRegisters:
    """Registers of one core.

    Args:
        core: its name; a Cortex-M0+ has no cycle counter.
        cycles: modelled cycles at the access that is being served.
    """

    def __init__(self, core: str, cycles: Callable[[], int]) -> None:
        self._has_cycle_counter = core != "cortex-m0plus"
        self._cycles = cycles
        self._stored: dict[int, int] = {_CPUID: _CPUIDS[core]}
        self._counted_from: int | None = None  # None: CYCCNT stands still
        self._stopped_at = 0
        self._tick_from = 0
        self._wraps_seen = 0
        self.reset_requested = False

    def read(self, address: int) -> int:
        """A 32-bit register; 0 for one that does nothing here."""
        if address == _DWT_CYCCNT:
            return self._cycle_counter() & 0xFFFFFFFF
        if address == _SYSTICK_VAL:
            return self._tick_value()
        if address == _SYSTICK_CTRL:
            return self._tick_control()
        return self._stored.get(address, 0)

    def write(self, address: int, value: int) -> None:
        """Store a 32-bit register, with the effects that it has."""
        if address == _DWT_CYCCNT:
            self._set_cycle_counter(value)
        elif address == _DWT_CTRL:
            self._enable_cycle_counter(bool(value & _ENABLE))
        elif address in (_SYSTICK_VAL, _SYSTICK_CTRL):
            self._tick_from = self._cycles()
            self._wraps_seen = 0
        elif address == _AIRCR and value & 0xFFFF0004 == _RESET_REQUEST:
            self.reset_requested = True
        if address not in (_CPUID, _SYSTICK_VAL):
            self._stored[address] = value

    def _cycle_counter(self) -> int:
        return self._stopped_at if self._counted_from is None else self._cycles() - self._counted_from

    def _set_cycle_counter(self, value: int) -> None:
        self._stopped_at = value
        if self._counted_from is not None:
            self._counted_from = self._cycles() - value

    def _enable_cycle_counter(self, enabled: bool) -> None:
        if not self._has_cycle_counter:
            return
        if enabled and self._counted_from is None:
            self._counted_from = self._cycles() - self._stopped_at
        elif not enabled:
            self._stopped_at, self._counted_from = self._cycle_counter(), None

    @property
    def _ticks(self) -> int:
        """Processor clocks since SysTick was enabled or cleared; 0 while it is off."""
        enabled = self._stored.get(_SYSTICK_CTRL, 0) & _ENABLE
        return self._cycles() - self._tick_from if enabled else 0

    @property
    def _period(self) -> int:
        return (self._stored.get(_SYSTICK_LOAD, 0) & _RELOAD_MASK) + 1

    def _tick_value(self) -> int:
        return -self._ticks % self._period

    def _tick_control(self) -> int:
        """With COUNTFLAG when the counter reached 0 since the last look."""
        wraps = self._ticks // self._period
        flag = _COUNTFLAG if wraps > self._wraps_seen else 0
        self._wraps_seen = wraps
        return self._stored.get(_SYSTICK_CTRL, 0) & ~_COUNTFLAG | flag
