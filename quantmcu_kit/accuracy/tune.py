"""The way into quantization-aware distillation: checks what it needs before anything takes time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from quantmcu_kit.accuracy.ends import Ends, ends_of
from quantmcu_kit.accuracy.settings import TuneSettings
from quantmcu_kit.accuracy.start import Progress, check_torch
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.quantize import Adjustments, Equalized

LEAST_SAMPLES = 16  # of which two judge


@dataclass(frozen=True, eq=False)
class Samples:
    """What is trained on: samples without labels.

    Attributes:
        pictures: [n, ...] as a data set has them; pictures may be larger than the network's input.
        held_out: [m, ...] of the network's shape, not trained on: they judge.
        shape: of the network's input, without the batch axis.
        encode: samples of the network's shape -> int8, as the integer network takes them.
        are_pictures: they may be cropped and mirrored.
    """

    pictures: np.ndarray
    held_out: np.ndarray
    shape: tuple[int, ...]
    encode: Callable[[np.ndarray], np.ndarray]
    are_pictures: bool = False


@dataclass(frozen=True, eq=False)
class Tuning:
    """What came of a training.

    Attributes:
        adjustments: of every weighted node, and of every range that was trained.
        before, after: mean loss on held-out samples: KL divergence in nats, or squared error in variances of the
            output. ``after`` is what is kept, and never more than ``before``.
        are_classes: whether it is the divergence.
        done, total: iterations.
        pictures: that were trained on.
        is_interrupted: by the user, before its end.
    """

    adjustments: Adjustments
    before: float
    after: float
    are_classes: bool
    done: int
    total: int
    pictures: int
    is_interrupted: bool


def tune(
    graph: Graph,
    integer: Graph,
    samples: Samples,
    settings: TuneSettings,
    progress: Progress = lambda stage, done, total: None,
    equalized: Equalized | None = None,
) -> Tuning:
    """Train all of an integer network to give what the float network gives.

    Args:
        graph: float.
        integer: the same, quantized: where training starts.
        equalized: the float network that ``integer`` quantizes, if not ``graph``.

    Raises:
        QmkitError: ``no-torch``, ``cannot-train``.
    """
    check_torch("tune")
    ends = ends_of(integer)
    _check_trainable(integer, ends)
    from quantmcu_kit.accuracy.tune_training import train

    return train(equalized or Equalized(graph, None), graph, integer, samples, ends, settings, progress)


def _check_trainable(graph: Graph, ends: Ends) -> None:
    """Raise ``cannot-train`` where no gradient reaches weights."""
    from quantmcu_kit.accuracy.forward import can_train

    wanted = set(ends.outputs)
    behind: set[str] = set()  # maps that depend on weights
    for node in graph.nodes:
        if TABLE[node.op].weight_axis is not None or behind & set(node.inputs):
            behind.add(node.output)
    if not behind:
        raise QmkitError("cannot-train", f"{graph.name} has no layer with weights", why="there is nothing to train")
    for node in reversed(graph.nodes):
        if node.output not in wanted:
            continue
        wanted |= set(graph.activation_inputs(node))
        if behind & set(graph.activation_inputs(node)) and not can_train(node):
            raise QmkitError(
                "cannot-train",
                f'{node.op} "{node.name}" cannot be trained through',
                why="it has no gradient here, and layers with weights come before it",
                hint="qmkit build --bits auto --effort SECONDS trains the blocks that can be",
            )
