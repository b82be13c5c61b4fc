"""Many small networks, each by a schedule of its own, as one C program, with sanitizers where these work."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quantmcu_kit import emit, memory
from quantmcu_kit.emit.runtime_files import runtime_root
from quantmcu_kit.host_compiler import Compiler, find_compiler, sanitizer_flags, sanitizers
from quantmcu_kit.ir.branches import Branches
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import MemoryPlan
from quantmcu_kit.ir.schedule import Schedule
from quantmcu_kit.ops.interpret import Interpreter

_TIMEOUT = 60  # seconds for all runs
WAYS = ("run_quantized", "run_rows", "push_row")
# Requests on standard input: which network, which way, its input. Writes the outputs.
_MAIN = """#include <stdint.h>
#include <stdio.h>
{declarations}
static int (*const networks[])(int way) = {{{functions}}};

int main(void)
{{
    int32_t request[2];
    while (fread(request, sizeof request, 1, stdin) == 1) {{
        const int status = networks[request[0]](request[1]);
        if (status != 0) {{
            fprintf(stderr, "network %d, way %d: status %d\\n", (int)request[0], (int)request[1], status);
            return 1;
        }}
    }}
    return 0;
}}
"""
# A network in one piece: its constants, its layers, and what runs it.
_UNIT = """#include <stdio.h>
#include <stdlib.h>
#include "{name}/weights.c"
#include "{name}/{name}.c"

static int8_t input[{macro}_INPUT_BYTES], output[{macro}_OUTPUT_BYTES];

static int read_{name}(void *context, int32_t row, int32_t column, int32_t columns, int8_t *pixels)
{{
    const int32_t c = {macro}_INPUT_CHANNELS;
    memcpy(pixels, (const int8_t *)context + (row * {macro}_INPUT_WIDTH + column) * c, (size_t)(columns * c));
    return 0;
}}

int run_{name}(int way);
int run_{name}(int way)
{{
    static {name}_push_t push;
    void *const arena = aligned_alloc({macro}_ARENA_ALIGNMENT, {macro}_ARENA_BYTES);
    int status;
    memset(arena, 0x5A, {macro}_ARENA_BYTES);
    memset(&push, 0x5A, sizeof push);
    if (fread(input, 1, {macro}_INPUT_BYTES, stdin) != {macro}_INPUT_BYTES) {{
        return 98;
    }}
    if (way == 0) {{
        status = {name}_run_quantized_in_arena(arena, {macro}_ARENA_BYTES, input, output);
    }} else if (way == 1) {{
        status = {name}_run_rows_in_arena(arena, {macro}_ARENA_BYTES, read_{name}, input, output);
    }} else {{
        {name}_push_begin(&push);
        status = {macro}_MORE;
        for (int32_t row = 0; row < {macro}_INPUT_HEIGHT && status == {macro}_MORE; ++row) {{
            const int32_t bytes = {macro}_INPUT_WIDTH * {macro}_INPUT_CHANNELS;
            status = {name}_push_row_in_arena(arena, {macro}_ARENA_BYTES, &push, input + row * bytes, output);
        }}
    }}
    fwrite(output, 1, {macro}_OUTPUT_BYTES, stdout);
    free(arena);
    return status;
}}
"""


@dataclass(frozen=True, eq=False)
class Case:
    """A network of one input and one output, and how it runs."""

    graph: Graph
    schedule: Schedule
    branches: Branches | None = None


class PatchedProgram:
    """Cases compiled as one program. ``plans`` holds the memory plan of each."""

    def __init__(self, cases: Sequence[Case], folder: Path) -> None:
        self._cases = cases
        self._program = folder / "program.exe"
        self.plans: list[MemoryPlan] = [memory.plan(case.graph, case.schedule, case.branches) for case in cases]
        sources = sorted((runtime_root() / "src" / "quantmcu").rglob("*.c"))
        for index, (case, plan) in enumerate(zip(cases, self.plans, strict=True)):
            name = f"n{index}"
            files = emit.render(
                case.graph, plan, name=name, board="nano33ble", schedule=case.schedule, branches=case.branches
            )
            for path in (f"src/{name}.h", f"src/{name}/{name}.c", f"src/{name}/weights.h", f"src/{name}/weights.c"):
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_text(files[path])
            sources.append(folder / f"src/{name}.c")
            sources[-1].write_text(_UNIT.format(name=name, macro=name.upper()))
        (folder / "main.c").write_text(_main([f"n{index}" for index in range(len(cases))]))
        _build([*sources, folder / "main.c"], folder, self._program)

    def run(self, index: int, x: np.ndarray, way: int = 0) -> np.ndarray:
        """int8 output of case ``index`` for an int8 input [1, ...] by one of :data:`WAYS`; a finding is an error."""
        (output,) = self.run_all([(index, way, x)])
        return output

    def run_all(self, requests: Sequence[tuple[int, int, np.ndarray]]) -> list[np.ndarray]:
        """:meth:`run` of several (case, way, input), one after another in one process."""
        stream = b"".join(np.array([index, way], np.int32).tobytes() + x.tobytes() for index, way, x in requests)
        result = subprocess.run([self._program], input=stream, capture_output=True, timeout=_TIMEOUT)
        assert result.returncode == 0, result.stderr.decode(errors="replace")[:2000] or result.returncode
        graphs = [self._cases[index].graph for index, _, _ in requests]
        shapes = [graph.tensors[graph.outputs[0].tensor].shape for graph in graphs]
        data = np.frombuffer(result.stdout, np.int8)
        parts = np.split(data, np.cumsum([np.prod(shape, dtype=np.int64) for shape in shapes]))
        assert not parts.pop().size
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    def check_all(self) -> None:
        """Every case in each way on random input equals the Python reference, which knows no patches."""
        rng = np.random.default_rng(0)
        requests, expected = [], []
        for index, case in enumerate(self._cases):
            name = case.graph.inputs[0].tensor
            x = rng.integers(-128, 128, case.graph.tensors[name].shape).astype(np.int8)
            (output,) = Interpreter(case.graph, integer=True).run({name: x}).values()
            requests += [(index, way, x) for way in range(len(WAYS))]
            expected += [output] * len(WAYS)
        for (index, way, _), got, wanted in zip(requests, self.run_all(requests), expected, strict=True):
            np.testing.assert_array_equal(got, wanted, err_msg=f"case {index}, {WAYS[way]}")


def _main(names: Sequence[str]) -> str:
    return _MAIN.format(
        declarations="".join(f"int run_{name}(int way);\n" for name in names),
        functions=", ".join(f"run_{name}" for name in names),
    )


def _build(sources: Sequence[Path], folder: Path, program: Path) -> None:
    """Each source by itself, several at a time; without optimization those of networks, which only call kernels."""
    compiler = find_compiler()
    flags = ["-std=c11", "-g1", "-I", str(runtime_root() / "src"), "-I", str(folder / "src")]
    flags += sanitizer_flags(sanitizers(compiler))

    def compile_one(numbered: tuple[int, Path]) -> Path:
        index, source = numbered
        level = "-O0" if source.is_relative_to(folder) else "-O1"
        return _object(compiler, source, [*flags, level], folder / f"{index}.o")

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compile_one, enumerate(sources)))
    compiler.compile(objects, flags, program)


def _object(compiler: Compiler, source: Path, flags: Sequence[str], target: Path) -> Path:
    compiler.compile([source], [*flags, "-c"], target)
    return target
