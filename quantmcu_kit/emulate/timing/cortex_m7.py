"""Cortex-M7: in order, two instructions a cycle. Arm publishes no cycle table: the rules below are a simple model.

They follow the structure that the Technical Reference Manual (Arm DDI 0489) describes: two ALUs, one unit for
multiplies, one FPU, predicted branches. Latencies are those that others measured and published for STM32H7 chips.
"""

from __future__ import annotations

from quantmcu_kit.emulate.timing.instruction import MULTIPLIES, Extension, Instruction, Kind, Trait
from quantmcu_kit.emulate.timing.model import Confidence, TimingModel

REFILL_INDIRECT = 1
REFILL_TABLE = 4

CYCLES = {
    Kind.DIVIDE: 2,  # to 12
    Kind.BRANCH_TABLE: 3,
    Kind.BARRIER_INSTRUCTION: 8,
    Kind.SPECIAL: 2,
    Kind.FP_DIVIDE: 16,
}
DOUBLE_CYCLES = {Kind.FP_ARITHMETIC: 4, Kind.FP_MULTIPLY_ADD: 8, Kind.FP_DIVIDE: 30}
_MULTIPLE = frozenset({Kind.LOAD_MULTIPLE, Kind.STORE_MULTIPLE, Kind.FP_LOAD_MULTIPLE, Kind.FP_STORE_MULTIPLE})

_LOADS = frozenset({Kind.LOAD, Kind.FP_LOAD})
_STORES = frozenset({Kind.STORE, Kind.FP_STORE})
_FP_COMPUTES = frozenset({Kind.FP_ARITHMETIC, Kind.FP_MULTIPLY_ADD, Kind.FP_MOVE, Kind.FP_TRANSFER})
_SKIPPED_BRANCHES = frozenset({Kind.BRANCH_CONDITIONAL, Kind.BRANCH_COMPARE})
_FIRST = frozenset(
    {Kind.ALU, Kind.DSP_ALU, Kind.HINT, *MULTIPLIES, *_LOADS, *_STORES, *_FP_COMPUTES, *_SKIPPED_BRANCHES}
)
_SECOND = _FIRST | {Kind.BRANCH, Kind.CALL, Kind.BRANCH_REGISTER, Kind.CALL_REGISTER, Kind.IT}
# Of each of these groups, one instruction a cycle.
_UNITS = (_LOADS, _STORES, MULTIPLIES | _STORES, _FP_COMPUTES, _SKIPPED_BRANCHES)
_FP_MEMORY = frozenset({Kind.FP_LOAD, Kind.FP_STORE, Kind.FP_TRANSFER})


def cost(previous: Instruction | None, current: Instruction, may_pair: bool) -> int:
    """0 as the second of a pair, else the issue cycles and what it waits for the result of the instruction before."""
    if previous is not None and may_pair and _pairs(previous, current):
        return 0
    return _issue_cycles(current) + (_wait(previous, current) if previous is not None else 0)


def _issue_cycles(current: Instruction) -> int:
    if current.kind in _MULTIPLE:
        return max(1, (current.words + 1) // 2)  # the data path has 64 bits
    if current.has(Trait.DOUBLE) and current.kind in DOUBLE_CYCLES:
        return DOUBLE_CYCLES[current.kind]
    return CYCLES.get(current.kind, 1)


def _pairs(first: Instruction, second: Instruction) -> bool:
    """Whether two instructions in sequence issue in one cycle."""
    if first.kind not in _FIRST or second.kind not in _SECOND or first.has(Trait.DOUBLE) or second.has(Trait.DOUBLE):
        return False
    if any(first.kind in unit and second.kind in unit for unit in _UNITS):
        return False
    if _uses_shifter(first) and _uses_shifter(second):
        return False
    if Kind.FP_MULTIPLY_ADD in (first.kind, second.kind) and _FP_MEMORY & {first.kind, second.kind}:
        return False
    return not _depends(first, second)


def _uses_shifter(instruction: Instruction) -> bool:
    return instruction.kind is Kind.DSP_ALU or instruction.has(Trait.SHIFTED)


def _depends(first: Instruction, second: Instruction) -> bool:
    """Whether the second needs or overwrites what the first produces; a stored value may come in the same cycle."""
    needs = second.address if second.kind in _STORES else second.reads
    fp_needs = 0 if second.kind in _STORES else second.fp_reads
    needs_flags = second.has(Trait.READS_FLAGS) and second.kind is Kind.ALU
    return bool(
        first.writes & (needs | second.writes)
        or first.fp_writes & (fp_needs | second.fp_writes)
        or needs_flags
        and first.has(Trait.SETS_FLAGS)
    )


def _wait(previous: Instruction, current: Instruction) -> int:
    """Cycles until the previous instruction's result can be used."""
    return max(_core_wait(previous, current), _fp_wait(previous, current))


def _core_wait(previous: Instruction, current: Instruction) -> int:
    if previous.kind is Kind.LOAD:
        if previous.writes & current.address:
            return 2
        reads = current.reads & ~current.addend if current.kind in MULTIPLIES else current.reads
        is_late = previous.has(Trait.NARROW_ACCESS) or current.kind in MULTIPLIES or current.has(Trait.SHIFTED)
        return int(is_late and current.kind is not Kind.STORE and bool(previous.writes & reads))
    if previous.kind in MULTIPLIES:
        return int(bool(previous.writes & current.reads & ~current.addend))
    return int(_uses_shifter(previous) and bool(previous.writes & current.address))


def _fp_wait(previous: Instruction, current: Instruction) -> int:
    if not previous.fp_writes & current.fp_reads or current.kind is Kind.FP_STORE:
        return 0
    if previous.kind is Kind.FP_LOAD:
        return 1
    if previous.kind is Kind.FP_MULTIPLY_ADD and previous.fp_writes & current.fp_reads & ~current.fp_addend:
        return 4
    return 2 if previous.kind in _FP_COMPUTES else 0


def refill(previous: Instruction | None, current: Instruction) -> int:
    """Direct branches are taken to be predicted and then cost nothing more."""
    if current.kind is Kind.BRANCH_TABLE:
        return REFILL_TABLE
    return 0 if current.displacement is not None else REFILL_INDIRECT


MODEL = TimingModel(
    core="cortex-m7",
    source="a model of dual issue by the structure in the Cortex-M7 Technical Reference Manual (Arm DDI 0489)",
    confidence=Confidence.ESTIMATED,
    notes=(
        "Arm publishes no cycle table of this core; latencies are those that others measured on STM32H7 chips.",
        "Direct branches are all predicted, and cost nothing more when taken; a wrong prediction costs about 8 cycles.",
        "Two instructions issue together if neither needs the other's result or unit; two loads never do, although "
        "they can from different memory banks.",
        "An instruction never issues together with one that it depends on, although the late ALU allows some of that.",
        "Results delay the next instruction only, not later ones.",
        "Pairs begin anew at the target of each direct branch.",
        "Code and data are taken to be in tightly coupled memory or in the caches.",
        "An instruction in an IT block costs its cycles whether its condition holds or not.",
        "Double precision is allowed, although some chips have single precision only.",
    ),
    extensions=frozenset(
        {
            Extension.V6M,
            Extension.V7M,
            Extension.DSP,
            Extension.FP_SINGLE,
            Extension.FP_DOUBLE,
            Extension.FP5_SINGLE,
            Extension.FP5_DOUBLE,
        }
    ),
    cost=cost,
    refill=refill,
    divide_cycles=(2, 12),
)
