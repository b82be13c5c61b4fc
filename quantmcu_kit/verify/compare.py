"""Holds the compiled library against the integer reference, byte by byte, and names the first difference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ops.branches import interpreter_of
from quantmcu_kit.ops.serialize_branches import Network
from quantmcu_kit.verify.contents import Contents, read_contents
from quantmcu_kit.verify.host import HostLibrary, Mode
from quantmcu_kit.verify.reference import Reference
from quantmcu_kit.verify.trace import LayerTrace, Piece, Trace

_NOISE_VECTORS = 2  # inputs of random bytes reach clamps that pictures do not
_BATCH = 16  # inputs in the Python reference at a time
PATCH = "PATCH"
Arrays = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Difference:
    """The first value that differs: in which vector, layer and place.

    Attributes:
        vector: index of the input, in the order golden, noise, extra, pixels.
        layer: index of the node; -1 for what is no layer: PREPROCESS, GOLDEN (a stored output), OUTPUT or PATCH (that
            is of another branch class).
        op, name: of the node.
        y, x, channel: place in the layer's output; y and x are 0 for vectors; row and column of a PATCH.
        expected, got: values of the reference and of the library; numbers of classes for a PATCH.
        branch_class: of the patch that computed the value, empty where all are alike.
    """

    vector: int
    layer: int
    op: str
    name: str
    y: int
    x: int
    channel: int
    expected: int
    got: int
    branch_class: str = ""

    def __str__(self) -> str:
        layer = f"layer {self.layer:02d} {self.op}" if self.layer >= 0 else self.op
        of = f" of {self.branch_class} patches" if self.branch_class else ""
        place = f"y {self.y}, x {self.x}" + ("" if self.op == PATCH else f", channel {self.channel}")
        return f"vector {self.vector}: {layer} {self.name!r}{of} at {place}: expected {self.expected}, got {self.got}"


@dataclass(frozen=True)
class VerifyResult:
    """How many inputs were compared, how many outputs differed, and where the first one did."""

    vectors: int
    mismatches: int
    first_difference: Difference | None
    compiler: str
    sanitizers: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every byte agrees."""
        return self.mismatches == 0


def verify_library(
    path: Path,
    extra_inputs: Sequence[np.ndarray] | None = None,
    extra_pixels: np.ndarray | None = None,
    sanitize: bool = True,
) -> VerifyResult:
    """Compile the library in ``path`` and compare it with the network that it carries.

    Compared are its golden vectors, random noise, and what the caller adds.

    Args:
        extra_inputs: quantized inputs, int8 [n, ...] per port.
        extra_pixels: pictures, uint8 [n, h, w, channels], for a library that takes pixels.
        sanitize: compile with sanitizers where the compiler has them.
    Raises:
        QmkitError: ``not-a-library``, ``damaged-library``, ``compiler-missing``, ``compile-failed``,
            ``library-crashed`` or ``library-hangs``.
    """
    contents = read_contents(path)
    inputs = _quantized_inputs(contents, extra_inputs)
    quantized = len(inputs[0])
    pixels = _pixel_inputs(contents, extra_pixels)
    if pixels is not None:
        inputs = (np.concatenate([inputs[0], _convert(contents, pixels)]),)
    expected = _reference(contents.network, inputs)
    with HostLibrary(path, Mode.SANITIZED if sanitize else Mode.FAST) as library:
        got = library.run(*(array[:quantized] for array in inputs))
        if pixels is not None:
            got = tuple(map(np.concatenate, zip(got, library.run_pixels(pixels), strict=True)))
    stored = _with_stored_goldens(contents, expected)
    differs = _differs(expected, got) | _differs(expected, stored)
    first = None
    if differs.any():
        vector = int(np.argmax(differs))
        sides = (("PREPROCESS" if vector >= quantized else "OUTPUT", got), ("GOLDEN", stored))
        first = _locate(path, contents.network, vector, inputs)
        first = first or _locate_output(contents.graph, vector, expected, sides)
    return VerifyResult(len(differs), int(differs.sum()), first, library.compiler, library.sanitizers)


def _quantized_inputs(contents: Contents, extra: Sequence[np.ndarray] | None) -> Arrays:
    """Golden, noise and extra inputs, stacked per port."""
    rng = np.random.default_rng(0)
    shapes = [contents.graph.tensors[port.tensor].shape for port in contents.graph.inputs]
    noise = [rng.integers(-128, 128, (_NOISE_VECTORS, *shape[1:])).astype(np.int8) for shape in shapes]
    extras = extra or [np.empty((0, *shape[1:]), np.int8) for shape in shapes]
    return tuple(map(np.concatenate, zip(contents.golden_inputs, noise, extras, strict=True)))


def _pixel_inputs(contents: Contents, extra: np.ndarray | None) -> np.ndarray | None:
    """A picture of random pixels and the extra ones; None for a library without pixels."""
    if not contents.manifest.takes_pixels:
        return None
    noise = np.random.default_rng(1).integers(0, 256, contents.manifest.inputs[0].shape).astype(np.uint8)
    return noise if extra is None else np.concatenate([noise, extra])


def _convert(contents: Contents, pixels: np.ndarray) -> np.ndarray:
    """Quantized input of pixels, by the preprocessing that the manifest states."""
    quant = contents.graph.tensors[contents.graph.inputs[0].tensor].quant
    tables = contents.manifest.preprocess.table(quant, pixels.shape[-1])
    return np.stack([table[pixels[..., channel]] for channel, table in enumerate(tables)], axis=-1)


def _reference(network: Network, inputs: Arrays) -> Arrays:
    """int8 outputs [n, ...] per port of the Python integer reference."""
    graph = network.graph
    interpreter = interpreter_of(graph, network.schedule, network.branches)
    batches = [interpreter.run(_named(graph, batch)) for batch in _batches(inputs)]
    return tuple(np.concatenate([batch[port.tensor] for batch in batches]) for port in graph.outputs)


def _batches(inputs: Arrays) -> Iterator[Arrays]:
    for start in range(0, len(inputs[0]), _BATCH):
        yield tuple(array[start : start + _BATCH] for array in inputs)


def _named(graph: Graph, inputs: Arrays) -> dict[str, np.ndarray]:
    return {port.tensor: array for port, array in zip(graph.inputs, inputs, strict=True)}


def _differs(expected: Arrays, got: Arrays) -> np.ndarray:
    """Whether any output differs, per vector."""
    rows = [(a != b).reshape(len(a), -1).any(axis=1) for a, b in zip(expected, got, strict=True)]
    return np.logical_or.reduce(rows)


def _with_stored_goldens(contents: Contents, expected: Arrays) -> Arrays:
    """``expected`` with the outputs that are stored with the golden vectors in place of theirs."""
    count = len(contents.golden_inputs[0])
    pairs = zip(contents.golden_outputs, expected, strict=True)
    return tuple(np.concatenate([stored, computed[count:]]) for stored, computed in pairs)


def _locate(path: Path, network: Network, vector: int, inputs: Arrays) -> Difference | None:
    """The first layer whose output differs for one vector, or patch that is of another class; None where all agree."""
    one = tuple(array[vector : vector + 1] for array in inputs)
    with HostLibrary(path, Mode.TRACE) as library:
        trace = library.trace(*one)
    layers = _with_slices(network.graph, trace.layers)
    reference = Reference(network, _named(network.graph, one))
    return (
        _first_layer(network.graph, vector, reference, [layer for layer in layers if layer.index < reference.start])
        or _first_patch(vector, reference, trace)
        or _first_layer(network.graph, vector, reference, [layer for layer in layers if layer.index >= reference.start])
    )


def _first_layer(graph: Graph, vector: int, reference: Reference, layers: Sequence[LayerTrace]) -> Difference | None:
    for layer in layers:
        node = graph.nodes[layer.index]
        for number in layer.branch_classes:
            expected = reference.map_of(node.output, number)
            place = _first_place(expected, layer.over(expected, number))
            if place:
                branch_class = reference.class_of(node.output, number)
                return Difference(vector, layer.index, node.op, node.name, *place, branch_class)
    return None


def _first_patch(vector: int, reference: Reference, trace: Trace) -> Difference | None:
    for patch in trace.patch_classes:
        expected = int(reference.classes[patch.row, patch.column])
        if expected != patch.branch_class:
            name = f"segment {patch.segment}: {reference.legend}"
            return Difference(vector, -1, PATCH, name, patch.row, patch.column, 0, expected, patch.branch_class)
    return None


def _with_slices(graph: Graph, traced: Sequence[LayerTrace]) -> list[LayerTrace]:
    """The layers by index, with those that wrote straight into a concatenated map: they are not traced themselves."""
    layers = {layer.index: layer for layer in traced}
    writers = {node.output: index for index, node in enumerate(graph.nodes)}
    for index, node in reversed(list(enumerate(graph.nodes))):
        if node.op != "CONCATENATION" or index not in layers:
            continue
        ends = np.cumsum([graph.tensors[name].shape[node.attrs.axis] for name in node.inputs])
        joined = layers[index].over(np.zeros(layers[index].shape, graph.tensors[node.output].dtype.numpy))
        for name, values in zip(node.inputs, np.split(joined, ends[:-1], node.attrs.axis), strict=True):
            writer = writers.get(name, index)
            if writer not in layers:
                layers[writer] = LayerTrace(writer, values.shape, (Piece(0, values.reshape(-1)),))
    return [layers[index] for index in sorted(layers)]


def _locate_output(
    graph: Graph, vector: int, expected: Arrays, sides: Sequence[tuple[str, Arrays]]
) -> Difference | None:
    """Where the outputs of one vector differ although no layer does; ``sides`` names what they are compared with."""
    for op, others in sides:
        for port, reference, values in zip(graph.outputs, expected, others, strict=True):
            place = _first_place(reference[vector], values[vector])
            if place:
                return Difference(vector, -1, op, port.name, *place)
    return None


def _first_place(expected: np.ndarray, got: np.ndarray) -> tuple[int, int, int, int, int] | None:
    """(y, x, channel, expected, got) of the first value that differs within one map; None where all agree."""
    flat, other = expected.reshape(-1), got.reshape(-1)
    assert flat.size == other.size, "the library was built from this graph"
    different = np.flatnonzero(flat != other)
    if not different.size:
        return None
    index = int(different[0])
    height_width_channels = (1, 1, 1, *expected.shape)[-3:]
    y, x, channel = (int(i) for i in np.unravel_index(index, height_width_channels))
    return y, x, channel, int(flat[index]), int(other[index])
