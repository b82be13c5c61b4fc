"""The form of a cycle model: what a core charges for an instruction that follows another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from quantmcu_kit.emulate.timing.instruction import Extension, Instruction


class Confidence(Enum):
    """Where a model's numbers come from."""

    TABLE = "table"  # the core's manual has a table of cycles
    ESTIMATED = "estimated"  # it has none


@dataclass(frozen=True)
class TimingModel:
    """A core's cycle model. All of it is for memory without wait states.

    Attributes:
        core: name, such as "cortex-m4f".
        source: manual and table.
        confidence: what the source is worth.
        notes: what the model leaves out or assumes, one sentence each.
        extensions: parts of the instruction set that the core has.
        cost: (previous, current, may_pair) to the cycles of ``current`` when it is reached from ``previous``, the
            instruction before it in memory; None when a branch led to it. 0 when both issue together, which
            ``may_pair`` allows: ``previous`` was not itself issued together with the one before it.
        refill: (previous, current) to the cycles that ``current`` costs on top when it jumps.
        divide_cycles: fewest and most cycles of a divide; ``cost`` gives the fewest.
    """

    core: str
    source: str
    confidence: Confidence
    notes: tuple[str, ...]
    extensions: frozenset[Extension]
    cost: Callable[[Instruction | None, Instruction, bool], int]
    refill: Callable[[Instruction | None, Instruction], int]
    divide_cycles: tuple[int, int] = (0, 0)


def divide_extra_cycles(model: TimingModel, dividend: int, divisor: int, signed: bool) -> int:
    """Cycles of a divide beyond the fewest.

    The manuals give a range and say that a divide ends early. The model spreads the range evenly over the bits of the
    quotient, 0 to 32: an assumption.
    """
    fewest, most = model.divide_cycles
    if signed:
        dividend, divisor = _magnitude(dividend), _magnitude(divisor)
    if divisor == 0 or dividend < divisor:
        return 0
    quotient_bits = dividend.bit_length() - divisor.bit_length() + 1
    return -(-quotient_bits * (most - fewest) // 32)


def _magnitude(word: int) -> int:
    return (1 << 32) - word if word >> 31 else word
