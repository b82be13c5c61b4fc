"""The network's inputs and outputs as the public header shows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from quantmcu_kit.emit.names import comment, float_literal, parameter_names
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.contract import Golden, Preprocess
from quantmcu_kit.ir.graph import Graph, Port, Tensor
from quantmcu_kit.ir.plans import MemoryPlan
from quantmcu_kit.ir.types import DType

_XOR = (np.arange(256, dtype=np.uint8) ^ 0x80).view(np.int8)


@dataclass(frozen=True, eq=False)
class PortView:
    """One input or output: C parameter, prefix of its macros, the model's name, the int8 tensor, its arena offset.

    The offset is None for an input that is not resident, and counts within external RAM where the tensor lies there.
    """

    name: str
    macro: str
    model_name: str
    tensor: Tensor
    offset: int | None
    is_external: bool

    @property
    def bytes(self) -> int:
        """Size of the int8 tensor."""
        return self.tensor.bytes

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape without the batch."""
        return self.tensor.shape[1:] if len(self.tensor.shape) > 1 else self.tensor.shape

    @property
    def dimensions(self) -> str:
        """Shape for people, such as 96x96x3."""
        return "x".join(map(str, self.shape)) or "1"

    @property
    def is_map(self) -> bool:
        """Whether it has height, width and channels."""
        return len(self.shape) == 3

    @property
    def pixel_order(self) -> str:
        """How the bytes of a picture follow each other."""
        return "top row first, " + ("red green blue of each pixel together" if self.shape[-1] == 3 else "grey")

    @property
    def meaning(self) -> str:
        """What the bytes are, for the header."""
        if self.is_map:
            height, width, channels = self.shape
            return f"{height} rows of {width} pixels of {channels} channel{'s' if channels > 1 else ''}"
        return f"{self.dimensions} value{'s' if self.tensor.elements > 1 else ''}"

    @property
    def scale(self) -> str:
        """Scale as a C literal."""
        return float_literal(self.tensor.quant.s)

    @property
    def zero_point(self) -> int:
        """Zero-point."""
        return self.tensor.quant.z


def _numbers(values: Sequence[float]) -> str:
    """One number where all are equal, else [a, b, c]."""
    return f"{values[0]:g}" if len(set(values)) == 1 else "[" + ", ".join(f"{value:g}" for value in values) + "]"


@dataclass(frozen=True, eq=False)
class Pixels:
    """How camera pixels become the quantized input.

    Attributes:
        preprocess: the normalisation.
        tables: int8 [1 or channels, 256]; one row where all channels share it.
    """

    preprocess: Preprocess
    tables: np.ndarray

    @property
    def is_xor(self) -> bool:
        """Whether the conversion is flipping the top bit."""
        return len(self.tables) == 1 and np.array_equal(self.tables[0], _XOR)

    @property
    def formula(self) -> str:
        """The normalisation, such as (pixel - 127.5) / 127.5; one number per channel in brackets where they differ."""
        mean, std = _numbers(self.preprocess.mean), _numbers(self.preprocess.std)
        centred = "pixel" if mean == "0" else f"pixel - {mean}" if std == "1" else f"(pixel - {mean})"
        return centred if std == "1" else f"{centred} / {std}"

    def picture_of(self, golden: Golden) -> np.ndarray | None:
        """uint8 pixels [h, w, c] that convert to the golden input; None where no picture does."""
        quantized = golden.inputs[0][0]
        channels = quantized.shape[-1]
        picture = np.empty(quantized.shape, np.uint8)
        for channel in range(channels):
            table = self.tables[channel if len(self.tables) > 1 else 0]
            pixel_of = np.full(256, -1, np.int16)
            pixel_of[table[::-1].astype(np.int16) + 128] = np.arange(256, dtype=np.int16)[::-1]
            pixels = pixel_of[quantized[..., channel].astype(np.int16) + 128]
            if pixels.min() < 0:
                return None
            picture[..., channel] = pixels
        return picture


@dataclass(frozen=True, eq=False)
class Interface:
    """Everything that a sketch sees.

    Attributes:
        name: of the library.
        pixels: set when ``<name>_run`` takes a picture.
        classes: length of the class vector; 0 when the output is something else.
        class_names: one per class, or empty.
    """

    name: str
    inputs: tuple[PortView, ...]
    outputs: tuple[PortView, ...]
    pixels: Pixels | None
    classes: int
    class_names: tuple[str, ...]

    @property
    def input_names(self) -> str:
        """The inputs as call arguments."""
        return ", ".join(view.name for view in self.inputs)

    @property
    def output_names(self) -> str:
        """The outputs as call arguments."""
        return ", ".join(view.name for view in self.outputs)

    @property
    def output_parameters(self) -> tuple[str, ...]:
        """The outputs as function parameters."""
        return tuple(f"int8_t *{view.name}" for view in self.outputs)

    @property
    def quantized_parameters(self) -> tuple[str, ...]:
        """All ports as function parameters."""
        return (*(f"const int8_t *{view.name}" for view in self.inputs), *self.output_parameters)

    @property
    def reads_rows(self) -> bool:
        """Whether the input may come in rows: a single map."""
        return len(self.inputs) == 1 and self.inputs[0].is_map

    @property
    def row_type(self) -> str:
        """Type of a row's elements as a sketch has them."""
        return "uint8_t" if self.pixels else "int8_t"

    @property
    def row_parameters(self) -> tuple[str, ...]:
        """Parameters of a function that reads rows: its context, a piece of a row, and where to write it."""
        return ("void *context", "int32_t row", "int32_t column", "int32_t columns", f"{self.row_type} *pixels")

    @property
    def reader_parameters(self) -> tuple[str, ...]:
        """A function that reads rows, its context and the outputs as function parameters."""
        return (f"{self.name}_read_t read", "void *context", *self.output_parameters)

    @property
    def push_parameters(self) -> tuple[str, ...]:
        """The state of a picture in rows, a row and the outputs as function parameters."""
        return (f"{self.name}_push_t *push", f"const {self.row_type} *row", *self.output_parameters)

    @property
    def pixel_parameters(self) -> tuple[str, ...]:
        """A picture and the outputs as function parameters."""
        return ("const uint8_t *pixels", *self.output_parameters)


def build_interface(
    name: str, graph: Graph, memory: MemoryPlan, preprocess: Preprocess | None, class_names: Sequence[str]
) -> Interface:
    """The interface of library ``name``; raises ``bad-class-names`` when these do not fit the output."""
    classes = class_count(graph)
    if class_names and len(class_names) != classes:
        found = f"the output has {classes} classes" if classes else "the output is not a vector of classes"
        raise QmkitError("bad-class-names", f"{len(class_names)} class names were given, but {found}")
    inputs, outputs = parameter_names(
        [port.name for port in graph.inputs], [port.name for port in graph.outputs], "scores" if classes else "output"
    )
    first, last = (memory.stages[index].external if memory.stages else frozenset() for index in (0, -1))
    return Interface(
        name=name,
        inputs=_views(graph, graph.inputs, inputs, f"{name.upper()}_INPUT", memory.input_offset, first),
        outputs=_views(graph, graph.outputs, outputs, f"{name.upper()}_OUTPUT", memory.output_offset, last),
        pixels=_pixels(graph, preprocess),
        classes=classes,
        class_names=tuple(class_names),
    )


def _views(
    graph: Graph,
    ports: Sequence[Port],
    names: Sequence[str],
    macro: str,
    offset_of: Callable[[str], int | None],
    external: frozenset[str],
) -> tuple[PortView, ...]:
    views = []
    for port, name in zip(ports, names, strict=True):
        tensor = graph.tensors[port.tensor]
        assert tensor.dtype is DType.I8, "integer graphs have int8 ports"
        prefix = macro if len(ports) == 1 else f"{macro}_{name.upper().removeprefix('INPUT_').removeprefix('OUTPUT_')}"
        offset, is_external = offset_of(tensor.name), tensor.name in external
        views.append(PortView(name, prefix, comment(port.name), tensor, offset, is_external))
    return tuple(views)


def class_count(graph: Graph) -> int:
    """Length of a class vector: the only output, [1, ..., 1, n] with n > 1, unless it reconstructs the input."""
    if len(graph.outputs) != 1:
        return 0
    output = graph.tensors[graph.outputs[0].tensor]
    is_vector = output.elements > 1 and output.shape[-1] == output.elements
    reconstructs = any(graph.tensors[port.tensor].elements == output.elements for port in graph.inputs)
    return output.elements if is_vector and not reconstructs else 0


def _pixels(graph: Graph, preprocess: Preprocess | None) -> Pixels | None:
    if preprocess is None or len(graph.inputs) != 1:
        return None
    tensor = graph.tensors[graph.inputs[0].tensor]
    if len(tensor.shape) != 4 or tensor.shape[3] not in (1, 3):
        return None
    tables = preprocess.table(tensor.quant, tensor.shape[3])
    return Pixels(preprocess, tables[:1] if (tables == tables[0]).all() else tables)
