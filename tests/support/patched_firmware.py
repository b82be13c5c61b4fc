"""Many small networks, each by a schedule of its own, as one program on an emulated board."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from quantmcu_kit import emit, memory
from quantmcu_kit.boards.catalog import find
from quantmcu_kit.emit.runtime_files import runtime_root
from quantmcu_kit.emulate.cores import find_core
from quantmcu_kit.emulate.elf import Image
from quantmcu_kit.emulate.firmware import MemoryMap, compile_firmware
from quantmcu_kit.emulate.machine import Machine
from quantmcu_kit.emulate.toolchain import find_toolchain
from tests.support.patched_program import Case

_STACK_BYTES = 4096
# Requests on the console: which network, its input. Writes the outputs.
_MAIN = """#include "semihosting.h"
{declarations}
/* Every arena ends where RAM ends: a write past it is an access outside memory. */
__attribute__((section(".arena"), aligned(16))) static int8_t arena[{most}];
static int (*const networks[])(int8_t *arena_end) = {{{functions}}};

int main(void)
{{
    int32_t index;
    while (sys_read(&index, sizeof index) == 0) {{
        const int status = networks[index](arena + sizeof arena);
        if (status != 0) {{
            return status;
        }}
    }}
    return 0;
}}
"""
_UNIT = """#include "{name}/weights.c"
#include "{name}/{name}.c"
#include "semihosting.h"

int run_{name}(int8_t *arena_end);
int run_{name}(int8_t *arena_end)
{{
    static int8_t input[{macro}_INPUT_BYTES], output[{macro}_OUTPUT_BYTES];
    int8_t *const arena = arena_end - {macro}_ARENA_BYTES;
    memset(arena, 0x5A, {macro}_ARENA_BYTES);
    if (sys_read(input, sizeof input) != 0) {{
        return 98;
    }}
    const int status = {name}_run_quantized_in_arena(arena, {macro}_ARENA_BYTES, input, output);
    sys_write(output, sizeof output);
    return -status;
}}
"""


def run_on_board(
    cases: Sequence[Case], requests: Sequence[tuple[int, np.ndarray]], folder: Path, board: str = "nano33ble"
) -> list[np.ndarray]:
    """int8 outputs of (index of a case, its int8 input [1, ...]), one after another on the same board.

    Raises:
        QmkitError: ``cross-compiler-missing``, ``emulator-missing`` or ``board-fault``.
    """
    target, most = find(board), 0
    sources = sorted((runtime_root() / "src" / "quantmcu").rglob("*.c"))
    for index, case in enumerate(cases):
        plan, name = memory.plan(case.graph, case.schedule, case.branches), f"n{index}"
        most = max(most, plan.arena_bytes)
        files = emit.render(case.graph, plan, name=name, board=board, schedule=case.schedule, branches=case.branches)
        for path in (f"src/{name}.h", f"src/{name}/{name}.c", f"src/{name}/weights.h", f"src/{name}/weights.c"):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(files[path])
        sources.append(folder / f"src/{name}.c")
        sources[-1].write_text(_UNIT.format(name=name, macro=name.upper()))
    sources.append(folder / "main.c")
    sources[-1].write_text(_main([f"n{index}" for index in range(len(cases))], most))
    core, places = find_core(target.cpu), MemoryMap.of(target, stack_bytes=_STACK_BYTES)
    program = compile_firmware(
        find_toolchain(),
        core,
        places,
        sources,
        includes=[runtime_root() / "src", folder / "src"],
        flags=["-Os"],
        target=folder / "firmware.elf",
    )
    stream = b"".join(np.int32(index).tobytes() + x.tobytes() for index, x in requests)
    run = Machine(Image(program), target.cpu, places, clock_hz=target.clock_mhz * 1_000_000).run(stream)
    assert run.exit_code == 0
    shapes = [case.graph.tensors[case.graph.outputs[0].tensor].shape for case in cases]
    ends = np.cumsum([np.prod(shapes[index], dtype=np.int64) for index, _ in requests])
    parts = np.split(np.frombuffer(run.output, np.int8), ends)
    assert not parts.pop().size
    return [part.reshape(shapes[index]) for part, (index, _) in zip(parts, requests, strict=True)]


def _main(names: Sequence[str], most: int) -> str:
    return _MAIN.format(
        declarations="".join(f"int run_{name}(int8_t *arena_end);\n" for name in names),
        functions=", ".join(f"run_{name}" for name in names),
        most=most,
    )
