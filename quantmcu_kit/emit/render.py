"""Integer graph and plans -> {path: content} of the library. Pure: no clock, no path, nothing is written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import jinja2
import numpy as np

from quantmcu_kit import __version__
from quantmcu_kit.boards.catalog import boards
from quantmcu_kit.emit.constants import Constant, ConstantPool, format_values
from quantmcu_kit.emit.interface import Interface, PortView, build_interface
from quantmcu_kit.emit.layers import Layer, build_layers
from quantmcu_kit.emit.names import block_comment, c_string, check_name, comment, paragraph, prototype
from quantmcu_kit.emit.runtime_files import NAMESPACE, defined_symbols, needed_files, template_folder
from quantmcu_kit.emit.stages import Move, Segment, WholeStage, build_moves, build_stages
from quantmcu_kit.ir import manifest as manifests
from quantmcu_kit.ir.branches import Branches, inner_maps
from quantmcu_kit.ir.contract import Golden, Preprocess
from quantmcu_kit.ir.graph import Graph, Node
from quantmcu_kit.ir.plans import ARENA_ALIGNMENT, MemoryPlan
from quantmcu_kit.ir.schedule import Schedule
from quantmcu_kit.ops.serialize import pack
from quantmcu_kit.ops.serialize_branches import save_network
from quantmcu_kit.ops.table import TABLE

Files = dict[str, "str | bytes"]
_NO_TABLES = np.empty(0, np.int8)


@dataclass(frozen=True, eq=False)
class Library:
    """What the templates read."""

    name: str
    graph: Graph
    memory: MemoryPlan
    board: str
    interface: Interface
    schedule: Schedule
    layers: tuple[Layer, ...]
    stages: tuple[WholeStage | Segment, ...]
    moves: tuple[Move | None, ...]
    constants: tuple[Constant, ...]
    goldens: tuple[Golden, ...]
    version: str = __version__
    alignment: int = ARENA_ALIGNMENT

    @property
    def macro(self) -> str:
        """Prefix of the library's macros."""
        return self.name.upper()

    @property
    def model_name(self) -> str:
        """The network's name, safe inside a comment."""
        return comment(self.graph.name)

    @property
    def description(self) -> str:
        """One line for library managers."""
        return f"The neural network {self.model_name.replace(chr(34), chr(39))} as a self-contained integer C library"

    @property
    def figures(self) -> str:
        """Board, memory and work, for banners."""
        return (
            f"board {self.board}   arena {self.memory.arena_bytes:,} B   "
            f"constants {self.weights_bytes:,} B   {self.macs:,} MAC"
        )

    @property
    def statements(self) -> tuple[str, ...]:
        """The body of the run function, which begins after the patches of an input that is pulled."""
        lines: list[str] = []
        for stage, move in zip(self.stages, self.moves, strict=True):
            if move:
                lines.append(move.statement)
            lines += stage.statements if isinstance(stage, WholeStage) else stage.run_statements
        return tuple(lines)

    @property
    def uses_external(self) -> bool:
        """Whether maps lie in external RAM."""
        return self.memory.external_bytes > 0

    def prototype(self, function: str, parameters: Sequence[str], *, in_arena: bool = False, storage: str = "") -> str:
        """A C function that returns an error code; with ``in_arena``, its memory comes first."""
        memory = ["void *arena", "size_t arena_bytes", *(["void *external"] if self.uses_external else [])]
        return prototype(function, [*(memory if in_arena else []), *parameters], storage)

    @property
    def writes_slices(self) -> bool:
        """Whether a layer writes some channels of a wider map."""
        return any(stage.pixel_bytes for stage in self.memory.stages)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The stages that run patch by patch."""
        return tuple(stage for stage in self.stages if isinstance(stage, Segment))

    @property
    def has_classes(self) -> bool:
        """Whether patches are of several branch classes."""
        return any(segment.classes for segment in self.segments)

    @property
    def scans_patches(self) -> bool:
        """Whether the picture decides of which class a patch is."""
        return any(segment.classes and segment.classes.is_scanned for segment in self.segments)

    @property
    def pulls_input(self) -> bool:
        """Whether the input is not in the arena."""
        return self.schedule.pulls_input

    @property
    def reads_in_order(self) -> bool:
        """Whether the input's rows are asked for one after the other, each once and whole."""
        patches = self.schedule.stages[0].patches if self.pulls_input else None
        return patches is None or (patches.column_steps == 1 and patches.mode.keeps_rows)

    @property
    def push_rows(self) -> int:
        """Rows of the input that a picture in rows must keep: from the first that a row of patches is to read."""
        spans = self.schedule.stages[0].patches.maps[0].rows
        return max(max(before.end for before in spans[: index + 1]) - span.start for index, span in enumerate(spans))

    @property
    def kernels(self) -> tuple[str, ...]:
        """Stems of the kernels that are called, sorted."""
        return tuple(sorted({call.kernel for layer in self.layers for call in layer.calls}))

    @property
    def weights_bytes(self) -> int:
        """Bytes of constants in flash: those of the layers, and the tables for pixels."""
        tables = self.interface.pixels.tables if self.takes_pixels and not self.interface.pixels.is_xor else _NO_TABLES
        return sum(constant.bytes for constant in self.constants) + tables.nbytes

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one run."""
        return sum(layer.macs for layer in self.layers)

    @cached_property
    def runtime(self) -> dict[str, str]:
        """The runtime files that the kernels need."""
        return needed_files(
            self.kernels,
            has_patches=bool(self.segments),
            has_scans=self.scans_patches,
            has_packed=self.has_packed,
        )

    @property
    def has_packed(self) -> bool:
        """Whether maps or weights have less than 8 bits."""
        graphs = (
            self.graph,
            *(graph for segment in self.segments if segment.classes for graph in segment.classes.graphs),
        )
        return any(tensor.dtype.is_packed for graph in graphs for tensor in graph.tensors.values())

    @property
    def runtime_symbols(self) -> tuple[str, ...]:
        """External symbols of these files."""
        return tuple(sorted(symbol for path, text in self.runtime.items() for symbol in _symbols(path, text)))

    @property
    def takes_pixels(self) -> bool:
        """Whether ``<name>_run`` exists."""
        return self.interface.pixels is not None

    @property
    def example(self) -> str:
        """Name of the example sketch."""
        return f"{self.name}_image" if self.takes_pixels else f"{self.name}_input"

    @cached_property
    def picture(self) -> np.ndarray | None:
        """Pixels of the first golden vector, where there is one and pixels lead to it."""
        return self.interface.pixels.picture_of(self.goldens[0]) if self.goldens and self.takes_pixels else None


def _symbols(path: str, text: str) -> tuple[str, ...]:
    return defined_symbols(text) if path.endswith(".c") else ()


def render(
    graph: Graph,
    memory: MemoryPlan,
    *,
    name: str,
    board: str,
    schedule: Schedule | None = None,
    branches: Branches | None = None,
    preprocess: Preprocess | None = None,
    class_names: Sequence[str] = (),
    goldens: Sequence[Golden] = (),
) -> Files:
    """The library as {path: content}.

    Args:
        graph: integer graph; its ports are int8.
        memory: arena plan of ``graph``.
        name: prefix of every symbol and file; see ``names.check_name``.
        board: board id, for the banner and the manifest.
        schedule: what ``memory`` was planned for; by default layer by layer.
        branches: classes of the patches of one of its stages; ``graph`` is then ``branches.common``.
        preprocess: makes ``<name>_run`` take uint8 pixels when the input is [1, h, w, 1 or 3].
        class_names: one per element of the output vector, or empty.
        goldens: inputs with their exact outputs, for the library's own test and its example.
    """
    check_name(name)
    pool = ConstantPool(name)
    schedule = schedule or Schedule.whole(graph)
    layers = build_layers(graph, schedule, memory, pool, branches)
    library = Library(
        name=name,
        graph=graph,
        memory=memory,
        board=board,
        interface=build_interface(name, graph, memory, preprocess, class_names),
        schedule=schedule,
        layers=layers,
        stages=build_stages(graph, schedule, memory, layers, branches),
        moves=build_moves(graph, schedule, memory),
        constants=tuple(pool.constants),
        goldens=tuple(goldens),
    )
    files = _source_files(library) | _test_files(library)
    files[manifests.NETWORK_PATH] = save_network(graph, schedule, branches)
    files[manifests.GOLDENS_PATH] = _pack_goldens(library)
    paths = tuple(sorted([*files, manifests.PATH]))
    digests = [hashlib.sha256(files[path]).hexdigest() for path in (manifests.NETWORK_PATH, manifests.GOLDENS_PATH)]
    files[manifests.PATH] = manifests.to_json(_manifest(library, preprocess, *digests, paths))
    return {path: files[path] for path in paths}


@lru_cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template_folder()),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.globals |= {"boards": boards()}
    environment.filters |= {
        "block_comment": block_comment,
        "c_string": c_string,
        "comment": comment,
        "json": json.dumps,
        "paragraph": paragraph,
        "thousands": lambda number: f"{number:,}",
        "values": format_values,
    }
    return environment


def _source_files(library: Library) -> Files:
    """Manifests, README, the public header, the network and the runtime."""
    name = library.name
    inner = f"src/{name}"
    templates = {
        "library.json": "library.json.j2",
        "library.properties": "library.properties.j2",
        "README.md": "README.md.j2",
        "LICENSE": "LICENSE.j2",
        f"src/{name}.h": "header.h.j2",
        f"{inner}/{name}.c": "network.c.j2",
        f"{inner}/static_arena.c": "static_arena.c.j2",
        f"{inner}/weights.h": "weights.h.j2",
        f"{inner}/weights.c": "weights.c.j2",
        f"{inner}/{NAMESPACE}": "namespace.h.j2",
    }
    if library.takes_pixels:
        templates |= {f"{inner}/preprocess.h": "preprocess.h.j2", f"{inner}/preprocess.c": "preprocess.c.j2"}
    environment = _environment()
    copied = {f"{inner}/{path}": text for path, text in library.runtime.items()}
    return copied | {
        path: environment.get_template(template).render(lib=library) for path, template in templates.items()
    }


def _test_files(library: Library) -> Files:
    """The example sketch, and the test as a PlatformIO project where there are golden vectors."""
    folder = f"examples/{library.example}"
    templates = {f"{folder}/{library.example}.ino": "example.ino.j2"}
    if library.goldens:
        templates[f"{folder}/example_input.h"] = "example_input.h.j2"
        templates |= {
            f"test/test_golden/{file}": f"{file}.j2"
            for file in ("golden_vectors.h", "test_golden.h", "test_golden.c", "test_golden_arduino.cpp")
        }
        templates["platformio.ini"] = "platformio.ini.j2"
        templates |= {
            f"test/{file}": file
            for file in (
                "test_custom_runner.py",
                "emulated_platform/platform.json",
                "emulated_platform/builder/main.py",
            )
        }
    environment = _environment()
    return {path: environment.get_template(template).render(lib=library) for path, template in templates.items()}


def _pack_goldens(library: Library) -> bytes:
    """Every golden input and output, stacked per port."""
    stacks = {}
    for kind in ("inputs", "outputs"):
        for port, view in enumerate(getattr(library.interface, kind)):
            arrays = [getattr(golden, kind)[port] for golden in library.goldens]
            empty = np.empty((0, *view.tensor.shape[1:]), np.int8)
            stacks[f"{kind}/{port}"] = np.concatenate(arrays) if arrays else empty
    return pack(stacks)


def _manifest(
    library: Library, preprocess: Preprocess | None, network_sha256: str, goldens_sha256: str, paths: tuple[str, ...]
) -> manifests.Manifest:
    def entry(view: PortView) -> manifests.PortEntry:
        return manifests.PortEntry(
            name=view.name,
            model_name=view.model_name,
            shape=view.tensor.shape,
            scale=float(view.tensor.quant.s),
            zero_point=view.zero_point,
            arena_offset=None if view.is_external else view.offset,
        )

    return manifests.Manifest(
        generator=manifests.GENERATOR,
        version=library.version,
        name=library.name,
        model_sha256=library.graph.sha256,
        board=library.board,
        preprocess=preprocess,
        takes_pixels=library.takes_pixels,
        inputs=tuple(map(entry, library.interface.inputs)),
        outputs=tuple(map(entry, library.interface.outputs)),
        class_names=library.interface.class_names,
        arena_bytes=library.memory.arena_bytes,
        arena_lower_bound_bytes=library.memory.lower_bound_bytes,
        external_bytes=library.memory.external_bytes,
        weights_bytes=library.weights_bytes,
        macs=library.macs,
        layers=tuple(_layer_entry(library, layer) for layer in library.layers),
        segments=tuple(map(_segment_entry, library.segments)),
        network_sha256=network_sha256,
        goldens_sha256=goldens_sha256,
        files=paths,
    )


def _segment_entry(segment: Segment) -> manifests.SegmentEntry:
    stage, patches = segment.stage, segment.patches
    classes = segment.classes.entry if segment.classes else None
    return manifests.SegmentEntry(
        stage.start, stage.end, segment.rows, segment.columns, patches.mode, len(patches.maps), classes
    )


def _layer_entry(library: Library, layer: Layer) -> manifests.LayerEntry:
    output = library.graph.tensors[layer.node.output]
    return manifests.LayerEntry(
        index=layer.index,
        op=layer.node.op,
        name=layer.node.name,
        kernels=tuple(call.kernel for call in layer.calls),
        shape=output.shape,
        bits=output.dtype.bits,
        weight_bits=_weight_bits(library.graph, layer.node),
        macs=layer.macs,
        weights_bytes=layer.weights_bytes,
        arena_offset=layer.output_offset,
        scratch_offset=layer.scratch_offset,
        class_bits=_class_bits(library, layer.node.output),
    )


def _weight_bits(graph: Graph, node: Node) -> int | None:
    return None if TABLE[node.op].weight_axis is None else graph.tensors[node.inputs[1]].dtype.bits


def _class_bits(library: Library, tensor: str) -> tuple[int, ...]:
    """Of a map inside a segment whose patches are of several classes; none of any other."""
    inside = (segment.classes for segment in library.segments if segment.classes)
    graphs = [graph for classes in inside if tensor in inner_maps(classes.patches) for graph in classes.graphs]
    return tuple(graph.tensors[tensor].dtype.bits for graph in graphs)
