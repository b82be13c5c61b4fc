"""Code of the C runtime on a Cortex-M4 at -Os. ``--write`` refreshes platformio_lib/code_size.toml."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.bench.results import ROOT, Results
from tests.support import arm

RUNTIME = ROOT / "platformio_lib" / "src"
TABLE = ROOT / "platformio_lib" / "code_size.toml"
HEADER = """\
# Bytes on a Cortex-M4 at -Os (arm-none-eabi-gcc 12), for the estimate of `qmkit build`: [runtime] as far as whole
# layers need it, [parts] what is added where a segment calls the kernel or, for patch.c, moves maps between patches.
# Files of native/cortexm_dsp are called <file>__dsp.
# [packed_runtime] and [packed_parts] are the same where maps or weights have 4 or 2 bits (QMCU_PACKED).
# Written by `make bench-code-size`, held against the compiler by tests/budget/test_budgets.py.

# The run function of a network: fixed part, and each kernel call.
[network]
fixed = 200
per_call = 18

# What segments add: each of them, each kernel call in one, each map that moves between patches, each call with
# parameters by branch class; and the functions for an input that is not in the arena.
[segments]
fixed = 36
per_call = 19
per_moved_map = 15
per_classed_call = 6
pulled_input = 290
"""


def measure(is_packed: bool) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """(code by source stem, more of it by kernel where it runs on parts, bytes of the parameter struct by kernel)."""
    flag = f"-DQMCU_PACKED={is_packed:d}"
    with tempfile.TemporaryDirectory() as folder:
        sources = sorted((RUNTIME / "quantmcu").rglob("*.c"))
        names = [f"{source.stem}__dsp" if source.parts[-2] == "cortexm_dsp" else source.stem for source in sources]
        objects = [
            arm.compile_object(source, Path(folder, f"{name}.o"), RUNTIME, flag)
            for name, source in zip(names, sources, strict=True)
        ]
        code = {stem: text for stem, (text, _) in arm.sizes(objects).items()}
        structs, wholes = [], []
        for header in sorted((RUNTIME / "quantmcu" / "kernels").glob("*.h")):
            wholes.append(_linked(Path(folder), header.stem, f"qmcu_{header.stem}"))
            probe = Path(folder, f"{header.stem}.c")
            probe.write_text(f'#include "{header}"\nchar probe[sizeof(qmcu_{header.stem}_t)];\n')
            structs.append(arm.compile_object(probe, Path(folder, f"{header.stem}.struct.o"), RUNTIME))
        wholes.append(_linked(Path(folder), "patch", "qmcu_part"))
        whole = {stem.removesuffix(".whole"): text for stem, (text, _) in arm.sizes(wholes).items()}
        parameters = {stem.removesuffix(".struct"): zeroed for stem, (_, zeroed) in arm.sizes(structs).items()}
    parts = {stem: code[stem] - size for stem, size in whole.items() if code[stem] > size}
    return code | whole, parts, parameters


def _linked(folder: Path, stem: str, root: str) -> Path:
    """What one function needs of its own file."""
    return arm.linked([folder / f"{stem}.o"], [root], folder / f"{stem}.whole.o")


def main() -> None:
    """Print the table, and write it when asked to."""
    code, parts, parameters = measure(False)
    packed, packed_parts, _ = measure(True)
    columns = [("file", 28), ("code", 8), ("parts", 8), ("packed", 8), ("packed_parts", 12), ("parameters", 12)]
    results = Results("code_size", columns)
    for stem in sorted(code):
        results.add(
            file=stem,
            code=code[stem],
            parts=parts.get(stem, 0),
            packed=packed[stem],
            packed_parts=packed_parts.get(stem, 0),
            parameters=parameters.get(stem, 0),
        )
    if "--write" in sys.argv:
        sections = [("runtime", code), ("parts", parts), ("packed_runtime", packed), ("packed_parts", packed_parts)]
        sections.append(("parameters", parameters))
        lines = [HEADER]
        for title, table in sections:
            lines += [f"[{title}]", *(f"{stem} = {size}" for stem, size in sorted(table.items())), ""]
        TABLE.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
