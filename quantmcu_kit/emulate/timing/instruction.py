"""What the cycle models know about an instruction. Registers are bit masks: bit n is rn, or sn of the FPU."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, Flag, auto


class Kind(Enum):
    """Instructions that every core times alike."""

    ALU = auto()
    ALU_PC = auto()  # mov pc, add pc
    MULTIPLY = auto()
    MULTIPLY_ADD = auto()
    LONG_MULTIPLY = auto()
    LONG_MULTIPLY_ADD = auto()
    DSP_ALU = auto()
    DSP_MULTIPLY = auto()
    DIVIDE = auto()
    LOAD = auto()
    LOAD_PC = auto()
    LOAD_DOUBLE = auto()
    LOAD_MULTIPLE = auto()
    LOAD_EXCLUSIVE = auto()
    STORE = auto()
    STORE_DOUBLE = auto()
    STORE_MULTIPLE = auto()
    STORE_EXCLUSIVE = auto()
    BRANCH = auto()
    BRANCH_CONDITIONAL = auto()
    BRANCH_COMPARE = auto()  # cbz, cbnz
    BRANCH_REGISTER = auto()
    BRANCH_TABLE = auto()
    CALL = auto()
    CALL_REGISTER = auto()
    IT = auto()
    HINT = auto()  # nop, preload; wfi and wfe without the wait
    WAIT = auto()  # wfi, wfe
    BARRIER = auto()
    BARRIER_INSTRUCTION = auto()  # isb
    SPECIAL = auto()  # mrs, msr
    INTERRUPT_MASK = auto()  # cps
    EXCEPTION = auto()  # svc, bkpt
    FP_ARITHMETIC = auto()  # add, multiply, convert: one more cycle until the result can be used
    FP_MULTIPLY_ADD = auto()
    FP_DIVIDE = auto()  # and square root
    FP_MOVE = auto()  # within the FPU: move, absolute value, negate, select, compare
    FP_TRANSFER = auto()  # one core register
    FP_TRANSFER_TWO = auto()
    FP_STATUS = auto()  # vmrs, vmsr
    FP_LOAD = auto()
    FP_STORE = auto()
    FP_LOAD_MULTIPLE = auto()
    FP_STORE_MULTIPLE = auto()
    UNDEFINED = auto()


class Extension(Enum):
    """What a core must have to run an instruction."""

    V6M = auto()
    V7M = auto()
    V8M = auto()  # of the mainline: acquire, release, security
    DSP = auto()
    FP_SINGLE = auto()
    FP_DOUBLE = auto()
    FP5_SINGLE = auto()  # FPv5: select, round, minimum and maximum
    FP5_DOUBLE = auto()
    NONE = auto()  # no Cortex-M has it


class Trait(Flag):
    """Details that matter to some core."""

    NONE = 0
    REGISTER_OFFSET = auto()
    WRITE_BACK = auto()
    SETS_FLAGS = auto()  # outside of an IT block
    READS_FLAGS = auto()
    SHIFTED = auto()  # goes through the shifter: an operand with a shift, a bit field, an extension
    NARROW_ACCESS = auto()  # a byte or halfword
    DOUBLE = auto()  # double-precision arithmetic


@dataclass(frozen=True)
class Instruction:
    """One decoded instruction, wherever it stands.

    Attributes:
        size: bytes, 2 or 4.
        name: mnemonic of the encoding; several that are timed alike share one.
        reads, writes: core registers; reads has the address registers too. The program counter is left out.
        address: core registers that an address is computed from.
        addend: those of reads that only the sum of a multiply-accumulate needs, not its product.
        fp_reads, fp_writes: single-precision registers.
        fp_addend: likewise of fp_reads.
        words: number of registers that a multiple load or store moves.
        jumps: whether it can go elsewhere than to the next instruction.
        displacement: from the instruction's address to the target of a direct branch, else None.
        dividend, divisor: register numbers of a divide.
    """

    size: int
    name: str
    kind: Kind
    extension: Extension
    traits: Trait = Trait.NONE
    reads: int = 0
    writes: int = 0
    address: int = 0
    addend: int = 0
    fp_reads: int = 0
    fp_writes: int = 0
    fp_addend: int = 0
    words: int = 0
    jumps: bool = False
    displacement: int | None = None
    dividend: int = 0
    divisor: int = 0

    def has(self, trait: Trait) -> bool:
        """Whether it has the trait."""
        return trait in self.traits


JUMPS = frozenset(
    {
        Kind.ALU_PC,
        Kind.LOAD_PC,
        Kind.BRANCH,
        Kind.BRANCH_CONDITIONAL,
        Kind.BRANCH_COMPARE,
        Kind.BRANCH_REGISTER,
        Kind.BRANCH_TABLE,
        Kind.CALL,
        Kind.CALL_REGISTER,
    }
)
DATA_PROCESSING = frozenset(
    {
        Kind.ALU,
        Kind.MULTIPLY,
        Kind.MULTIPLY_ADD,
        Kind.LONG_MULTIPLY,
        Kind.LONG_MULTIPLY_ADD,
        Kind.DSP_ALU,
        Kind.DSP_MULTIPLY,
        Kind.DIVIDE,
    }
)
MULTIPLIES = frozenset(
    {
        Kind.MULTIPLY,
        Kind.MULTIPLY_ADD,
        Kind.LONG_MULTIPLY,
        Kind.LONG_MULTIPLY_ADD,
        Kind.DSP_MULTIPLY,
    }
)
FP_LATE_RESULT = frozenset({Kind.FP_ARITHMETIC, Kind.FP_MULTIPLY_ADD, Kind.FP_DIVIDE})
MULTIWORD = frozenset(
    {
        Kind.LOAD_DOUBLE,
        Kind.LOAD_MULTIPLE,
        Kind.STORE_DOUBLE,
        Kind.STORE_MULTIPLE,
        Kind.FP_LOAD,
        Kind.FP_STORE,
        Kind.FP_LOAD_MULTIPLE,
        Kind.FP_STORE_MULTIPLE,
    }
)
