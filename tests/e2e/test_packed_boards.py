"""Random networks of 8, 4 and 2 bits on emulated cores: many in one firmware, the bytes of the integer interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from quantmcu_kit import emit, memory
from quantmcu_kit.emit.footprint import PACKED_STACK_BYTES
from quantmcu_kit.emit.runtime_files import runtime_root
from quantmcu_kit.emulate.cores import find_core
from quantmcu_kit.emulate.elf import Image
from quantmcu_kit.emulate.firmware import MemoryMap, compile_firmware
from quantmcu_kit.emulate.machine import Machine
from quantmcu_kit.emulate.toolchain import find_toolchain
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ops.interpret import Interpreter
from tests.support.patched_cases import collected
from tests.support.patched_program import Case

CASES = 40
MEMORY = MemoryMap(
    flash_start=0,
    flash_bytes=1 << 20,
    ram_start=0x20000000,
    ram_bytes=1 << 18,
    stack_bytes=PACKED_STACK_BYTES,
)
UNIT = """#include "{name}/weights.c"
#include "{name}/{name}.c"
const int32_t bytes_{name}[] = {{{macro}_INPUT_BYTES, {macro}_OUTPUT_BYTES, {macro}_ARENA_BYTES}};
int run_{name}(int8_t *arena, const int8_t *input, int8_t *output);
int run_{name}(int8_t *arena, const int8_t *input, int8_t *output)
{{
    return {name}_run_quantized_in_arena(arena, {macro}_ARENA_BYTES, input, output);
}}
"""
# The inputs of all networks come one after another, and their outputs go.
MAIN = """#include <string.h>
#include "semihosting.h"
{declarations}
static const struct {{ const int32_t *bytes; int (*run)(int8_t *, const int8_t *, int8_t *); }} networks[] = {{
{rows}}};
__attribute__((aligned(16))) static int8_t arena[1 << 16];
static int8_t input[1 << 12], output[1 << 14];

int main(void)
{{
    for (size_t i = 0; i < sizeof networks / sizeof networks[0]; ++i) {{
        memset(arena, 0x5A, sizeof arena);
        sys_read(input, (size_t)networks[i].bytes[0]);
        if (networks[i].bytes[2] > (int32_t)sizeof arena || networks[i].run(arena, input, output) != 0) {{
            return 1;
        }}
        sys_write(output, (size_t)networks[i].bytes[1]);
    }}
    return 0;
}}
"""


def firmware(cases: Sequence[Case], folder: Path, core: str) -> Image:
    """The cases as one program; skips without a cross compiler."""
    pytest.importorskip("unicorn", reason="the extra [emulator] is not installed")
    pytest.importorskip("elftools", reason="the extra [emulator] is not installed")
    names = [f"n{index}" for index in range(len(cases))]
    source = runtime_root() / "src"
    units = sorted((source / "quantmcu").rglob("*.c"))
    for name, case in zip(names, cases, strict=True):
        plan = memory.plan(case.graph, case.schedule)
        files = emit.render(case.graph, plan, name=name, board="nano33ble", schedule=case.schedule)
        for path in (f"src/{name}.h", f"src/{name}/{name}.c", f"src/{name}/weights.h", f"src/{name}/weights.c"):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(files[path])
        units.append(folder / "src" / f"{name}_unit.c")
        units[-1].write_text(UNIT.format(name=name, macro=name.upper()))
    declarations = "".join(
        f"extern const int32_t bytes_{name}[];\nint run_{name}(int8_t *, const int8_t *, int8_t *);\n" for name in names
    )
    rows = "".join(f"    {{bytes_{name}, run_{name}}},\n" for name in names)
    units.append(folder / "main.c")
    units[-1].write_text(MAIN.format(declarations=declarations, rows=rows))
    try:
        toolchain = find_toolchain()
    except QmkitError as error:
        pytest.skip(error.message)
    target = folder / f"{core}.elf"
    includes = [folder / "src", source]
    compile_firmware(toolchain, find_core(core), MEMORY, units, includes=includes, flags=["-Os"], target=target)
    return Image(target)


@pytest.mark.parametrize("core", ["cortex-m4f", "cortex-m0plus"])
def test_bytes_on_the_board_are_the_interpreters(core, tmp_path):
    cases = collected(CASES, packed=True)
    assert any(case.schedule.is_patched for case in cases) and not all(case.schedule.is_patched for case in cases)
    rng = np.random.default_rng(2)
    inputs, expected = [], []
    for case in cases:
        name = case.graph.inputs[0].tensor
        inputs.append(rng.integers(-128, 128, case.graph.tensors[name].shape).astype(np.int8))
        (output,) = Interpreter(case.graph, integer=True).run({name: inputs[-1]}).values()
        expected.append(output)
    board = Machine(firmware(cases, tmp_path, core), core, MEMORY, clock_hz=64_000_000)
    run = board.run(b"".join(x.tobytes() for x in inputs))
    assert run.exit_code == 0 and run.stack_bytes <= PACKED_STACK_BYTES
    parts = np.split(np.frombuffer(run.output, np.int8), np.cumsum([output.size for output in expected]))
    assert not parts.pop().size
    for index, (got, wanted) in enumerate(zip(parts, expected, strict=True)):
        np.testing.assert_array_equal(got.reshape(wanted.shape), wanted, err_msg=f"case {index}")
