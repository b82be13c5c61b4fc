"""The part of a network behind a stage whose patches have classes: a chain of whole layers, that can be trained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantmcu_kit.ir.branches import Branches
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ops.interpret import Interpreter
from quantmcu_kit.quantize import PatchClasses
from quantmcu_kit.quantize.patch_classes import port_of, up_to

_BATCH = 16  # pictures whose maps exist together


@dataclass(frozen=True, eq=False)
class Behind:
    """The layers behind the map that is cut into patches; it is their input.

    Attributes:
        graph: float.
        integer: the same, quantized.
        inputs: [n, h, w, c], the map as patches of mixed classes make it: integers.
        real: float32 [n, h, w, c], the map of the float network.
    """

    graph: Graph
    integer: Graph
    inputs: np.ndarray
    real: np.ndarray


def behind_classes(graph: Graph, branches: Branches, classes: PatchClasses, inputs: np.ndarray) -> Behind:
    """What lies behind the classes.

    Args:
        graph: float.
        branches: the quantized network.
        inputs: int8 [n, ...], pictures as it takes them.
    """
    end, common = classes.end(graph), branches.common
    before, source = Interpreter(up_to(graph, end), integer=False), graph.inputs[0].tensor
    quant = common.tensors[source].quant
    starts = range(0, len(inputs), _BATCH)
    real = [before.run({source: quant.dequantize(inputs[at : at + _BATCH])})[classes.cut] for at in starts]
    parts = (each.replace(nodes=each.nodes[end:], inputs=(port_of(each, classes.cut),)) for each in (graph, common))
    return Behind(*parts, classes.cut_maps(branches.graphs, inputs), np.concatenate(real))
