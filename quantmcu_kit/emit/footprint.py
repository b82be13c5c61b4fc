"""What a library takes of a board, estimated on the PC without a cross-compiler.

The arena and the constants are exact. Code is a sum of sizes measured for Cortex-M4 at -Os (``code_size.toml`` beside
the runtime); a test holds the estimate against the cross-compiler's figures.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

from quantmcu_kit.emit.runtime_files import runtime_root
from quantmcu_kit.ir.manifest import Manifest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

STACK_BYTES = 1024  # deepest chain run -> kernel -> primitive with its block of accumulators, rounded up


@dataclass(frozen=True)
class Footprint:
    """Bytes of RAM and flash.

    Attributes:
        arena_bytes: exact.
        stack_bytes: a bound for the library's own calls.
        weights_bytes: constants, exact.
        code_bytes: machine code and layer parameters, estimated.
    """

    arena_bytes: int
    stack_bytes: int
    weights_bytes: int
    code_bytes: int

    @property
    def ram_bytes(self) -> int:
        """Arena and stack."""
        return self.arena_bytes + self.stack_bytes

    @property
    def flash_bytes(self) -> int:
        """Constants and code."""
        return self.weights_bytes + self.code_bytes


@lru_cache
def _sizes() -> dict[str, dict[str, int]]:
    return tomllib.loads((runtime_root() / "code_size.toml").read_text("utf-8"))


def estimate_footprint(manifest: Manifest) -> Footprint:
    """The footprint of a rendered library."""
    sizes = _sizes()
    code = sizes["network"]["fixed"] + sum(
        sizes["network"]["per_call"] + sizes["parameters"][kernel]
        for layer in manifest.layers
        for kernel in layer.kernels
    )
    for path in manifest.files:
        stem = PurePosixPath(path).stem
        if path.startswith("src/") and path.endswith(".c"):
            code += sizes["runtime"].get(stem, 0)
    return Footprint(manifest.arena_bytes, STACK_BYTES, manifest.weights_bytes, code)
