"""A generated library between two buffers: the header that network.c needs; inputs and outputs as bytes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.manifest import Manifest, PortEntry
from quantmcu_kit.ops.interpret import Interpreter


def input_bytes(manifest: Manifest) -> int:
    """Bytes of one input of network.c, the byte that chooses pixels included."""
    return 1 + sum(map(_bytes, manifest.inputs))


def output_bytes(manifest: Manifest) -> int:
    """Bytes of one output of network.c."""
    return sum(map(_bytes, manifest.outputs))


def quantized_rows(inputs: Sequence[np.ndarray]) -> list[bytes]:
    """Inputs of network.c for int8 [n, ...] per port."""
    return [b"\0" + b"".join(array.tobytes() for array in row) for row in zip(*inputs, strict=True)]


def pixel_rows(pixels: np.ndarray) -> list[bytes]:
    """Inputs of network.c for pictures, uint8 [n, h, w, channels]."""
    return [b"\1" + picture.tobytes() for picture in pixels]


def split_outputs(manifest: Manifest, data: bytes, count: int) -> tuple[np.ndarray, ...]:
    """int8 [count, ...] per port."""
    ports = manifest.outputs
    rows = np.frombuffer(data, np.int8).reshape(count, -1)
    parts = np.split(rows, np.cumsum([_bytes(port) for port in ports])[:-1], axis=1)
    return tuple(part.reshape(count, *port.shape[1:]) for part, port in zip(parts, ports, strict=True))


def reference_outputs(graph: Graph, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """int8 [n, ...] per output port of Python's integer reference, for int8 [n, ...] per input port."""
    named = {port.tensor: array for port, array in zip(graph.inputs, inputs, strict=True)}
    results = Interpreter(graph, integer=True).run(named)
    return [results[port.tensor] for port in graph.outputs]


def assert_same(expected: Sequence[np.ndarray], actual: Sequence[np.ndarray]) -> None:
    """Every byte of every port agrees."""
    for want, got in zip(expected, actual, strict=True):
        np.testing.assert_array_equal(got, want)


def network_header(manifest: Manifest) -> str:
    """network.h: the library's functions on the parts of the buffers."""
    name, macro = manifest.name, manifest.name.upper()
    inputs, outputs = (_places("INPUT", manifest.inputs), _places("OUTPUT", manifest.outputs))
    quantized = f"{name}_run_quantized_in_arena(arena, sizeof arena, {inputs}, {outputs})"
    pixels = f"{name}_run_in_arena(arena, sizeof arena, (const uint8_t *)INPUT(0), {outputs})"
    defines = {
        "INPUT_BYTES": input_bytes(manifest),
        "OUTPUT_BYTES": output_bytes(manifest),
        "ARENA_BYTES": f"{macro}_ARENA_BYTES",
        "ARENA_ALIGNMENT": f"{macro}_ARENA_ALIGNMENT",
        "RUN_QUANTIZED": quantized,
        "RUN_PIXELS": pixels if manifest.takes_pixels else quantized,
    }
    return f"#include <{name}.h>\n" + "".join(f"#define {key} {value}\n" for key, value in defines.items())


def _places(buffer: str, ports: Sequence[PortEntry]) -> str:
    offsets = np.cumsum([0, *map(_bytes, ports)])[:-1]
    return ", ".join(f"{buffer}({offset})" for offset in offsets)


def _bytes(port: PortEntry) -> int:
    return int(np.prod(port.shape, dtype=np.int64))
