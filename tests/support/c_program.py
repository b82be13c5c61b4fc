"""Many small integer graphs as one C program over the runtime: compiled once, with sanitizers where there are any."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from quantmcu_kit import memory
from quantmcu_kit.emit.constants import ConstantPool
from quantmcu_kit.emit.layers import build_layers
from quantmcu_kit.emit.runtime_files import needed_files
from quantmcu_kit.emit.stages import build_stages
from quantmcu_kit.host_compiler import find_compiler, sanitizer_flags, sanitizers
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.schedule import Schedule
from tests.support.packed_maps import loaded, stored

_TIMEOUT = 60  # seconds for one run
_HEAD = """#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define TRACE(layer, data, bytes) ((void)0)
"""
_TYPES = """
typedef struct {
    void (*run)(int8_t *arena);
    size_t arena, inputs, in_offset[4], in_bytes[4], out_offset, out_bytes;
} network_t;
"""
# Arguments: the network's index, the number of runs. Each run has a fresh arena of the planned size, full of rubbish.
_MAIN = """
int main(int argc, char **argv)
{
    const network_t *n = &networks[atoi(argv[1])];
    for (int left = argc == 3 ? atoi(argv[2]) : 0; left > 0; --left) {
        int8_t *arena = malloc(n->arena);
        memset(arena, 0x5A, n->arena);
        for (size_t i = 0; i < n->inputs; ++i) {
            if (fread(arena + n->in_offset[i], 1, n->in_bytes[i], stdin) != n->in_bytes[i]) {
                return 2;
            }
        }
        n->run(arena);
        fwrite(arena + n->out_offset, 1, n->out_bytes, stdout);
        free(arena);
    }
    return 0;
}
"""


class CProgram:
    """Integer graphs of up to four inputs and one output, compiled as one program.

    Args:
        graphs: the graphs; :meth:`run` takes an index into them.
        folder: where to build.
    """

    def __init__(self, graphs: Sequence[Graph], folder: Path) -> None:
        self._graphs = graphs
        self._program = folder / "program.exe"
        kernels: set[str] = set()
        functions, rows = [], []
        for index, graph in enumerate(graphs):
            functions.append(_function(graph, index, kernels))
            rows.append(_row(graph, index))
        has_packed = any(tensor.dtype.is_packed for graph in graphs for tensor in graph.tensors.values())
        sources = needed_files(kernels, has_packed=has_packed)
        for path, text in sources.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        includes = "".join(f'#include "quantmcu/kernels/{kernel}.h"\n' for kernel in sorted(kernels))
        table = "static const network_t networks[] = {\n" + "".join(rows) + "};\n"
        (folder / "networks.c").write_text(_HEAD + includes + _TYPES + "".join(functions) + table + _MAIN)
        compiler = find_compiler()
        flags = ["-std=c99", "-O1", "-g1", "-I", str(folder), f"-DQMCU_PACKED={has_packed:d}"]
        flags += sanitizer_flags(sanitizers(compiler))
        compiler.compile([folder / "networks.c", *sorted(folder.rglob("quantmcu/**/*.c"))], flags, self._program)

    def run(self, index: int, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """The output [n, ...] of graph ``index`` for inputs [n, ...]; AssertionError if a sanitizer objects."""
        graph = self._graphs[index]
        count = len(inputs[0])
        dtypes = [graph.tensors[port.tensor].dtype for port in graph.inputs]
        arrays = [stored(values, dtype) for values, dtype in zip(inputs, dtypes, strict=True)]
        stream = b"".join(array[run].tobytes() for run in range(count) for array in arrays)
        command = [self._program, str(index), str(count)]
        result = subprocess.run(command, input=stream, capture_output=True, timeout=_TIMEOUT)
        assert result.returncode == 0, result.stderr.decode(errors="replace")[:2000]
        output = graph.tensors[graph.outputs[0].tensor]
        return loaded(np.frombuffer(result.stdout, np.int8), output.dtype, output.shape)


def _function(graph: Graph, index: int, kernels: set[str]) -> str:
    """Constants and the function ``run_<index>``; adds the kernels that it calls."""
    pool, schedule, plan = ConstantPool(f"n{index}"), Schedule.whole(graph), memory.plan(graph)
    layers = build_layers(graph, schedule, plan, pool)
    (stage,) = build_stages(graph, schedule, plan, layers)
    calls = [call for layer in layers for call in layer.calls]
    kernels.update(call.kernel for call in calls)
    constants = "".join(f"static const {entry.declaration} = {{\n{entry.text}\n}};\n" for entry in pool.constants)
    body = "".join(f"{call.struct}\n" for call in calls) + "".join(f"    {line}\n" for line in stage.statements)
    return f"{constants}static void run_{index}(int8_t *arena)\n{{\n{body}    (void)arena;\n}}\n"


def _row(graph: Graph, index: int) -> str:
    plan = memory.plan(graph)
    inputs = [graph.tensors[port.tensor] for port in graph.inputs]
    offsets = ", ".join(str(plan.stages[0].offsets[tensor.name]) for tensor in inputs)
    sizes = ", ".join(str(tensor.bytes) for tensor in inputs)
    output = graph.tensors[graph.outputs[0].tensor]
    return (
        f"    {{run_{index}, {plan.arena_bytes}, {len(inputs)}, {{{offsets}}}, {{{sizes}}}, "
        f"{plan.stages[0].offsets[output.name]}, {output.bytes}}},\n"
    )
