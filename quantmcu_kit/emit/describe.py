"""What a library says about itself: its manifest."""

from __future__ import annotations

from quantmcu_kit.emit.interface import PortView
from quantmcu_kit.emit.layers import Layer
from quantmcu_kit.emit.stages import Segment
from quantmcu_kit.emit.view import Library
from quantmcu_kit.ir import manifest as manifests
from quantmcu_kit.ir.branches import inner_maps
from quantmcu_kit.ir.contract import Preprocess
from quantmcu_kit.ir.graph import Graph, Node
from quantmcu_kit.ops.table import TABLE


def describe(
    library: Library, preprocess: Preprocess | None, network_sha256: str, goldens_sha256: str, paths: tuple[str, ...]
) -> manifests.Manifest:
    """The manifest.

    Args:
        network_sha256, goldens_sha256: of the archives.
        paths: of every file, the manifest's included.
    """

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
        hot_bytes=library.hot_bytes,
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
