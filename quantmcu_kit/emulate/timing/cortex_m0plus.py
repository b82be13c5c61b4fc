"""Cortex-M0+: Technical Reference Manual r0p1, Arm DDI 0484C. Every instruction costs the same wherever it stands."""

from __future__ import annotations

from quantmcu_kit.emulate.timing.instruction import Extension, Instruction, Kind
from quantmcu_kit.emulate.timing.model import Confidence, TimingModel

REFILL = 1  # a taken branch costs 2 cycles: the pipeline has two stages
REFILL_POP = 2  # POP with PC costs 3 + N, other multiple loads 1 + N

# Table 3-1, jumps without their refill. All others take 1; MULS is the single-cycle option, which the RP2040 has.
CYCLES = {
    Kind.LOAD: 2,
    Kind.STORE: 2,
    Kind.CALL: 2,  # BL: 3 in all
    Kind.BARRIER: 3,
    Kind.BARRIER_INSTRUCTION: 3,
    Kind.SPECIAL: 3,
    Kind.WAIT: 2,
}


def cost(previous: Instruction | None, current: Instruction, may_pair: bool) -> int:
    """Cycles by the table."""
    if current.kind in (Kind.LOAD_MULTIPLE, Kind.STORE_MULTIPLE):
        return 1 + current.words
    return CYCLES.get(current.kind, 1)


def refill(previous: Instruction | None, current: Instruction) -> int:
    """Cycles of the table beyond those of an instruction that does not jump."""
    return REFILL_POP if current.kind is Kind.LOAD_MULTIPLE else REFILL


MODEL = TimingModel(
    core="cortex-m0plus",
    source="Cortex-M0+ Technical Reference Manual r0p1 (Arm DDI 0484C): table 3-1",
    confidence=Confidence.TABLE,
    notes=(
        "MULS costs 1 cycle, as on the RP2040; cores without the fast multiplier take 32.",
        "Loads and stores cost 2 cycles, also those to the single-cycle I/O port, which take 1.",
        "Code is taken to come from memory without wait states: on the RP2040, from its cache.",
    ),
    extensions=frozenset({Extension.V6M}),
    cost=cost,
    refill=refill,
)
