"""Cortex-M33: in order, with a limited dual issue. Arm publishes no cycle table: the rules below are a simple model.

Latencies and pairs are those that others measured and published for the RP2350.
"""

from __future__ import annotations

from quantmcu_kit.emulate.timing.instruction import MULTIPLIES, Extension, Instruction, Kind, Trait
from quantmcu_kit.emulate.timing.model import Confidence, TimingModel

REFILL = 1
REFILL_INDIRECT = 2

CYCLES = {
    Kind.DIVIDE: 2,  # to 11
    Kind.LOAD_DOUBLE: 2,
    Kind.STORE_DOUBLE: 2,
    Kind.LOAD_EXCLUSIVE: 2,
    Kind.STORE_EXCLUSIVE: 2,
    Kind.BRANCH_TABLE: 3,
    Kind.BARRIER_INSTRUCTION: 3,
    Kind.SPECIAL: 2,
    Kind.FP_DIVIDE: 14,
    Kind.FP_TRANSFER_TWO: 2,
}
_MULTIPLE = frozenset({Kind.LOAD_MULTIPLE, Kind.STORE_MULTIPLE, Kind.FP_LOAD_MULTIPLE, Kind.FP_STORE_MULTIPLE})
_LOADS = frozenset({Kind.LOAD, Kind.LOAD_DOUBLE, Kind.LOAD_MULTIPLE, Kind.LOAD_EXCLUSIVE})
_STORES = frozenset({Kind.STORE, Kind.STORE_DOUBLE, Kind.STORE_MULTIPLE, Kind.STORE_EXCLUSIVE})
_BRANCHES = frozenset({Kind.BRANCH, Kind.BRANCH_CONDITIONAL})
_SECOND = frozenset({Kind.IT, Kind.HINT, *_BRANCHES})
_FP_UNIT = frozenset({Kind.FP_ARITHMETIC, Kind.FP_MULTIPLY_ADD, Kind.FP_DIVIDE, Kind.FP_MOVE, Kind.FP_TRANSFER})


def cost(previous: Instruction | None, current: Instruction, may_pair: bool) -> int:
    """0 as the second of a pair, else the issue cycles and what it waits for the result of the instruction before."""
    if previous is not None and may_pair and _pairs(previous, current):
        return 0
    return _issue_cycles(current) + (_wait(previous, current) if previous is not None else 0)


def _pairs(first: Instruction, second: Instruction) -> bool:
    """A 16-bit branch, IT or NOP issues together with a 16-bit instruction before it."""
    return first.size == second.size == 2 and second.kind in _SECOND and first.kind not in _SECOND and not first.jumps


def _issue_cycles(current: Instruction) -> int:
    if current.kind in _MULTIPLE:
        return max(1, current.words)
    if current.kind is Kind.MULTIPLY and current.has(Trait.SETS_FLAGS):
        return 2
    if current.kind in (Kind.FP_LOAD, Kind.FP_STORE) and current.has(Trait.DOUBLE):
        return 2
    return CYCLES.get(current.kind, 1)


def _wait(previous: Instruction, current: Instruction) -> int:
    """Cycles until the previous instruction's result can be used."""
    needs = current.address if current.kind in _STORES else current.reads & ~current.addend
    has_late_result = previous.kind in _LOADS or previous.kind in MULTIPLIES or previous.has(Trait.SHIFTED)
    return max(int(has_late_result and bool(previous.writes & needs)), _fp_wait(previous, current))


def _fp_wait(previous: Instruction, current: Instruction) -> int:
    if previous.kind is Kind.FP_MULTIPLY_ADD and current.kind in _FP_UNIT:
        return 2
    return int(previous.kind in (Kind.FP_ARITHMETIC, Kind.FP_DIVIDE) and bool(previous.fp_writes & current.fp_reads))


def refill(previous: Instruction | None, current: Instruction) -> int:
    """A taken branch costs 2 cycles in all, or 1 in a pair whose first instruction does not set the flags."""
    if current.kind not in _BRANCHES:
        return REFILL if current.displacement is not None else REFILL_INDIRECT
    needs_new_flags = (
        current.kind is Kind.BRANCH_CONDITIONAL and previous is not None and previous.has(Trait.SETS_FLAGS)
    )
    return REFILL + int(needs_new_flags and _pairs(previous, current))


MODEL = TimingModel(
    core="cortex-m33",
    source="a model of the limited dual issue that is published as measured on the RP2350",
    confidence=Confidence.ESTIMATED,
    notes=(
        "Arm publishes no cycle table of this core.",
        "A taken branch costs 2 cycles, or 1 if it issues together with an instruction that does not set the flags.",
        "Results delay the next instruction only, not later ones.",
        "The cycles of a divide, 2 to 11, grow evenly with the bits of its quotient: an assumption.",
        "VDIV and VSQRT cost 14 cycles, as on the Cortex-M4.",
        "An instruction in an IT block costs its cycles whether its condition holds or not.",
        "Code is taken to come from memory without wait states.",
    ),
    extensions=frozenset(
        {
            Extension.V6M,
            Extension.V7M,
            Extension.V8M,
            Extension.DSP,
            Extension.FP_SINGLE,
            Extension.FP5_SINGLE,
        }
    ),
    cost=cost,
    refill=refill,
    divide_cycles=(2, 11),
)
