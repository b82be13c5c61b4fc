"""Cortex-M4 with FPU: Technical Reference Manual r0p1, Arm DDI 0439D."""

from __future__ import annotations

from quantmcu_kit.emulate.timing.instruction import (
    DATA_PROCESSING,
    FP_LATE_RESULT,
    Extension,
    Instruction,
    Kind,
    Trait,
)
from quantmcu_kit.emulate.timing.model import Confidence, TimingModel

# Table 3-1 says 1 to 3, by the target's alignment and width and by whether its address is known early. The middle is
# what the Cortex-M3's older manual (DDI 0337E, table 18.1) states: "pipeline reloads (two cycles are added)".
REFILL = 2
# Section 3.3.2: where the address is itself loaded (LDR PC, TBB), "three cycles for the pipeline reload".
REFILL_LOADED = 3

# Tables 3-1, 3-2 and 7-1; without N, P and B of their Cycles column. All others take 1.
CYCLES = {
    Kind.DIVIDE: 2,  # to 12
    Kind.LOAD: 2,
    Kind.LOAD_PC: 2,
    Kind.LOAD_DOUBLE: 3,
    Kind.LOAD_EXCLUSIVE: 2,
    Kind.STORE_DOUBLE: 3,
    Kind.STORE_EXCLUSIVE: 2,
    Kind.BRANCH_TABLE: 3,  # section 3.3.2: two for the load, one for the add
    Kind.BARRIER_INSTRUCTION: 1 + REFILL,
    Kind.SPECIAL: 2,  # 1 or 2
    Kind.INTERRUPT_MASK: 2,  # 1 or 2
    Kind.FP_MULTIPLY_ADD: 3,
    Kind.FP_DIVIDE: 14,
    Kind.FP_TRANSFER_TWO: 2,
    Kind.FP_LOAD: 2,
    Kind.FP_STORE: 2,
}
_MULTIPLE = frozenset({Kind.LOAD_MULTIPLE, Kind.STORE_MULTIPLE, Kind.FP_LOAD_MULTIPLE, Kind.FP_STORE_MULTIPLE})
_FP_SINGLE_ACCESS = frozenset({Kind.FP_LOAD, Kind.FP_STORE})
# LDREX and STREX "can be pipelined exactly as LDR".
_PIPELINED = frozenset({Kind.LOAD, Kind.LOAD_EXCLUSIVE, Kind.STORE_EXCLUSIVE})


def cost(previous: Instruction | None, current: Instruction, may_pair: bool) -> int:
    """Cycles by the tables and the load/store rules of section 3.3.2."""
    return load_store_cost(previous, current, CYCLES) + fp_result_stall(previous, current)


def load_store_cost(previous: Instruction | None, current: Instruction, table: dict[Kind, int]) -> int:
    """Cycles by a table and the load/store rules that Cortex-M3 and Cortex-M4 share."""
    cycles = base_cycles(current, table)
    if previous is None:
        return cycles
    if previous.kind in DATA_PROCESSING and previous.writes & current.address:
        return cycles + 1  # there is no forwarding from an operation to an address
    if cycles == 2 and can_follow(previous, current):
        return 1
    return cycles


def base_cycles(current: Instruction, table: dict[Kind, int]) -> int:
    """Cycles without regard to the instruction before."""
    if current.kind in _MULTIPLE:
        return 1 + current.words
    if current.kind is Kind.STORE:
        return 2 if current.has(Trait.REGISTER_OFFSET) else 1
    if current.kind in _FP_SINGLE_ACCESS and current.has(Trait.DOUBLE):
        return 3
    return table.get(current.kind, 1)


def can_follow(previous: Instruction, current: Instruction) -> bool:
    """Whether a single load or store runs its address phase during the previous load's data phase.

    Nothing follows a store so, LDR PC follows nothing so, and nothing does whose address the previous instruction
    produces, be it as the loaded word or as the updated base.
    """
    is_access = current.kind in _PIPELINED or current.kind is Kind.STORE
    return is_access and previous.kind in _PIPELINED and not previous.writes & current.address


def fp_result_stall(previous: Instruction | None, current: Instruction) -> int:
    """1 where the result of floating-point arithmetic is used at once, but for the addend of a multiply-add (7.2.3)."""
    if previous is None or previous.kind not in FP_LATE_RESULT:
        return 0
    return int(bool(previous.fp_writes & current.fp_reads & ~current.fp_addend))


def refill(previous: Instruction | None, current: Instruction) -> int:
    """P of the manual's tables."""
    is_loaded = current.kind in (Kind.LOAD_PC, Kind.BRANCH_TABLE, Kind.LOAD_MULTIPLE)
    return REFILL_LOADED if is_loaded else REFILL


MODEL = TimingModel(
    core="cortex-m4f",
    source="Cortex-M4 Technical Reference Manual r0p1 (Arm DDI 0439D): tables 3-1, 3-2 and 7-1, section 3.3.2",
    confidence=Confidence.TABLE,
    notes=(
        "A taken branch costs 2 more cycles, 3 where its target is loaded; the manual says 1 to 3, by the target's "
        "alignment and width.",
        "An instruction in an IT block costs its cycles whether its condition holds or not.",
        "IT costs 1 cycle, although it can be folded into a 16-bit instruction before it.",
        "VMOV between a core register and a single register costs 1 cycle, as for half of a double; a row of table 7-1 "
        "says 2.",
        "VDIV and VSQRT cost 14 cycles, although integer instructions may run meanwhile.",
        "The cycles of a divide, 2 to 12, grow evenly with the bits of its quotient: an assumption.",
        "32-bit loads at addresses that are not word-aligned, and loads of literals, pipeline like others.",
        "A base that a load updates counts as its result: the next load from it does not pipeline, as was measured.",
        "The write buffer is never full, and stores that update one base after the other cost 1 cycle each.",
        "An unaligned access costs 1 more; of a word at an odd address it is 2 on the chip.",
    ),
    extensions=frozenset({Extension.V6M, Extension.V7M, Extension.DSP, Extension.FP_SINGLE}),
    cost=cost,
    refill=refill,
    divide_cycles=(2, 12),
)
