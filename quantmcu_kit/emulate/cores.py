"""The Cortex-M cores that can be emulated, and how compilers are told about them.

Sources of the instruction sets: Arm's Technical Reference Manuals of the cores; GCC manual, "ARM Options".
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from quantmcu_kit.errors import QmkitError


@dataclass(frozen=True)
class Core:
    """A processor core.

    Attributes:
        name: as in the board catalog.
        gcc_flags, zig_flags: what selects it in ``arm-none-eabi-gcc`` and in ``zig cc``.
        has_fpu: whether floats are passed in registers of its floating-point unit.
    """

    name: str
    gcc_flags: tuple[str, ...]
    zig_flags: tuple[str, ...]
    has_fpu: bool


def _core(name: str, cpu: str, features: str = "", fpu: str = "") -> Core:
    """``cpu`` by GCC's name; ``features`` are LLVM's, where zig's entry of the core does not imply them."""
    abi = ("-mfloat-abi=hard", f"-mfpu={fpu}") if fpu else ("-mfloat-abi=soft",)
    target = f"thumb-freestanding-eabi{'hf' if fpu else ''}"
    zig_cpu = cpu.replace("-", "_") + features
    return Core(name, (f"-mcpu={cpu}", "-mthumb", *abi), ("-target", target, f"-mcpu={zig_cpu}"), bool(fpu))


# Floats are single precision everywhere: it is all that an STM32F746 has, and Arduino cores use no more of an H743.
CORES = (
    _core("cortex-m0plus", "cortex-m0plus"),
    _core("cortex-m3", "cortex-m3"),
    _core("cortex-m4f", "cortex-m4", "+vfp4d16sp", fpu="fpv4-sp-d16"),
    _core("cortex-m7", "cortex-m7", "+fp_armv8d16sp", fpu="fpv5-sp-d16"),
    _core("cortex-m33", "cortex-m33", "+dsp+fp_armv8d16sp", fpu="fpv5-sp-d16"),
)


def find_core(name: str) -> Core:
    """The core called ``name``; raises ``unknown-core`` with near matches."""
    by_name = {core.name: core for core in CORES}
    if name in by_name:
        return by_name[name]
    near = difflib.get_close_matches(name.lower(), by_name, n=3, cutoff=0.6)
    raise QmkitError(
        "unknown-core",
        f"no emulated core is called {name!r}",
        why="the emulator has the Cortex-M cores " + ", ".join(by_name),
        hint=f"did you mean {', '.join(near)}?" if near else "choose one of these",
    )
