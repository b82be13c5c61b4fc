"""Machine code to cycles per halfword."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quantmcu_kit.emulate.timing.decode import walk
from quantmcu_kit.emulate.timing.instruction import MULTIWORD, Instruction, Kind
from quantmcu_kit.emulate.timing.model import TimingModel


@dataclass(frozen=True)
class Divide:
    """A divide: its cycles depend on its operands.

    Attributes:
        address: of the instruction.
        dividend, divisor: register numbers.
        signed: SDIV rather than UDIV.
    """

    address: int
    dividend: int
    divisor: int
    signed: bool


@dataclass(frozen=True, eq=False)
class CodeTiming:
    """What machine code costs. Arrays have an entry per halfword, meaningful where an instruction starts, else 0.

    A basic block costs the sum of its ``cycles``, plus ``entry_extra`` of its first instruction if a branch led there,
    plus ``taken_extra`` of its last if that one jumps. Instructions in an IT block count as executed.

    Attributes:
        instructions: uint8, 1 where one starts.
        sizes: uint8, bytes of the instruction: 2 or 4.
        cycles: uint8, when reached from the instruction before it in memory.
        entry_extra: int8, to add when reached by a branch.
        taken_extra: uint8, to add when left by a jump.
        divides: whose cycles beyond those in ``cycles`` are :func:`divide_extra`.
        illegal: addresses of what the core does not have.
        multiword: addresses of accesses that must be aligned on every core.
    """

    instructions: np.ndarray
    sizes: np.ndarray
    cycles: np.ndarray
    entry_extra: np.ndarray
    taken_extra: np.ndarray
    divides: tuple[Divide, ...]
    illegal: tuple[int, ...]
    multiword: tuple[int, ...]


def analyse_code(model: TimingModel, code: bytes, address: int, regions: Sequence[tuple[int, int]]) -> CodeTiming:
    """What ``code`` at ``address`` costs; outside of ``regions``, [start, end) addresses, it is data."""
    placed = [list(walk(code, *_within(region, address, len(code)))) for region in regions]
    targets = _targets(placed)
    count = (len(code) + 1) // 2
    sizes, cycles, taken_extra = (np.zeros(count, np.uint8) for _ in range(3))
    entry_extra = np.zeros(count, np.int8)
    divides: list[Divide] = []
    illegal: list[int] = []
    multiword: list[int] = []
    for region in placed:
        previous: Instruction | None = None
        may_pair = False
        for offset, current in region:
            # No pair spans a branch's target: a loop is entered there by its branch far more often than from above.
            in_sequence = model.cost(previous, current, may_pair and offset not in targets)
            after_branch = model.cost(None, current, False)
            index = offset // 2
            sizes[index] = current.size
            cycles[index] = in_sequence
            entry_extra[index] = after_branch - in_sequence
            if current.jumps:
                taken_extra[index] = model.refill(previous, current)
            if current.extension not in model.extensions:
                illegal.append(address + offset)
            if current.kind in MULTIWORD:
                multiword.append(address + offset)
            if current.kind is Kind.DIVIDE:
                signed = current.name == "sdiv"
                divides.append(Divide(address + offset, current.dividend, current.divisor, signed))
            previous, may_pair = current, in_sequence > 0
    return CodeTiming(
        instructions=(sizes > 0).astype(np.uint8),
        sizes=sizes,
        cycles=cycles,
        entry_extra=entry_extra,
        taken_extra=taken_extra,
        divides=tuple(divides),
        illegal=tuple(illegal),
        multiword=tuple(multiword),
    )


def _within(region: tuple[int, int], address: int, size: int) -> tuple[int, int]:
    """A region as offsets into the code, cut to it."""
    start, end = region
    return max(start - address, 0) + (start - address) % 2, min(end - address, size)


def _targets(placed: Sequence[Sequence[tuple[int, Instruction]]]) -> frozenset[int]:
    """Offsets that direct branches lead to. A call's target starts a function and is nobody's successor."""
    return frozenset(
        offset + instruction.displacement
        for region in placed
        for offset, instruction in region
        if instruction.displacement is not None
    )
