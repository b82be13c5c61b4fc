"""Cycles of machine code on Cortex-M cores.

A table-driven decoder sorts Thumb instructions into kinds; a model per core says what each kind costs, given the
instruction before it. Memory is without wait states.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from quantmcu_kit.emulate.timing import cortex_m0plus, cortex_m3, cortex_m4f, cortex_m7, cortex_m33
from quantmcu_kit.emulate.timing.analyse import CodeTiming, Divide, analyse_code
from quantmcu_kit.emulate.timing.model import Confidence, TimingModel, divide_extra_cycles
from quantmcu_kit.errors import QmkitError

__all__ = ["CodeTiming", "Confidence", "Divide", "TimingModel", "analyse", "divide_extra", "timing_model"]


def analyse(core: str, code: bytes, address: int, regions: Sequence[tuple[int, int]]) -> CodeTiming:
    """What machine code costs on a core.

    Args:
        core: name, such as "cortex-m4f".
        code: bytes, little-endian.
        address: of the first byte, even.
        regions: [start, end) addresses of instructions; what lies between them is data.
    Raises:
        QmkitError: ``no-timing-model``.
    """
    return analyse_code(timing_model(core), code, address, regions)


def divide_extra(core: str, dividend: int, divisor: int, signed: bool) -> int:
    """Cycles of a divide beyond those in ``CodeTiming.cycles``, for operands given as unsigned 32-bit words."""
    return divide_extra_cycles(timing_model(core), dividend, divisor, signed)


def timing_model(core: str) -> TimingModel:
    """The model of a core; raises ``no-timing-model`` for other names."""
    if core in MODELS:
        return MODELS[core]
    near = difflib.get_close_matches(core, MODELS, n=3, cutoff=0.4)
    raise QmkitError(
        "no-timing-model",
        f"there is no cycle model of a {core!r}",
        why="cycles are counted by a table for each core",
        hint="choose one of " + ", ".join(near or MODELS),
    )


_MODELS = (cortex_m0plus.MODEL, cortex_m3.MODEL, cortex_m4f.MODEL, cortex_m7.MODEL, cortex_m33.MODEL)
MODELS = {model.core: model for model in _MODELS}
