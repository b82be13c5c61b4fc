"""Cortex-M3: Technical Reference Manual r2p1, Arm 100165. Its load/store rules are the Cortex-M4's, word for word."""

from __future__ import annotations

from quantmcu_kit.emulate.timing import cortex_m4f
from quantmcu_kit.emulate.timing.instruction import Extension, Instruction, Kind, Trait
from quantmcu_kit.emulate.timing.model import Confidence, TimingModel

# Table 3-1, where it differs from the Cortex-M4's.
CYCLES = {
    **cortex_m4f.CYCLES,
    Kind.MULTIPLY_ADD: 2,
    Kind.LONG_MULTIPLY: 5,  # 3 to 5
    Kind.LONG_MULTIPLY_ADD: 7,  # 4 to 7
}


def cost(previous: Instruction | None, current: Instruction, may_pair: bool) -> int:
    """Cycles by the table and the load/store rules of section 3.3.2."""
    updates_base = current.kind is Kind.LOAD and current.has(Trait.WRITE_BACK)
    if previous is not None and previous.kind is Kind.LOAD and updates_base:
        return CYCLES[Kind.LOAD]  # as measured: such a load can only be the first of several
    return cortex_m4f.load_store_cost(previous, current, CYCLES)


MODEL = TimingModel(
    core="cortex-m3",
    source="Cortex-M3 Technical Reference Manual r2p1 (Arm 100165): table 3-1, section 3.3.2",
    confidence=Confidence.TABLE,
    notes=(
        "A taken branch costs 2 more cycles, 3 where its target is loaded; the manual says 1 to 3, by the target's "
        "alignment and width.",
        "Long multiplies cost their most, 5 and 7 cycles; the manual says 3 to 5 and 4 to 7, by the operands.",
        "An instruction in an IT block costs its cycles whether its condition holds or not.",
        "IT costs 1 cycle, although it can be folded into a 16-bit instruction before it.",
        "The cycles of a divide, 2 to 12, grow evenly with the bits of its quotient: an assumption.",
        "32-bit loads at addresses that are not word-aligned, and loads of literals, pipeline like others.",
        "A base that a load updates counts as its result, and a load that updates its base never pipelines, as was "
        "measured.",
        "The write buffer is never full, and stores that update one base after the other cost 1 cycle each.",
        "An unaligned access costs 1 more; of a word at an odd address it is 2 on the chip.",
    ),
    extensions=frozenset({Extension.V6M, Extension.V7M}),
    cost=cost,
    refill=cortex_m4f.refill,
    divide_cycles=(2, 12),
)
