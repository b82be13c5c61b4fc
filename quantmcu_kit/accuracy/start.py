"""The way in: checks that torch is there before anything needs it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from quantmcu_kit.accuracy.blocks import split, whole
from quantmcu_kit.accuracy.settings import Settings
from quantmcu_kit.emit import class_count
from quantmcu_kit.errors import EXIT_ENVIRONMENT, QmkitError
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.quantize import Adjustments, Equalized

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class BlockReport:
    """What became of a block.

    Attributes:
        output: its last map.
        iterations: of training; 0 for what cannot be trained.
        before, after: mean squared error of the output on held-out pictures, in variances of the float output;
            ``after`` is what is kept.
    """

    output: str
    iterations: int
    before: float
    after: float


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """Adjustments, and a report for each block."""

    adjustments: Adjustments
    blocks: tuple[BlockReport, ...]


def check_torch(what: str = "--effort") -> None:
    """Raise ``no-torch`` where it is not installed."""
    if importlib.util.find_spec("torch") is None:
        raise QmkitError(
            "no-torch",
            f"{what} needs PyTorch",
            why="it trains the quantized network's weights on calibration pictures",
            hint='pip install "quantmcu-kit[accuracy]"' + (", or leave --effort out" if what == "--effort" else ""),
            exit_code=EXIT_ENVIRONMENT,
        )


def reconstruct(
    graph: Graph,
    integer: Graph,
    inputs: np.ndarray,
    settings: Settings,
    progress: Progress = lambda stage, done, total: None,
    equalized: Equalized | None = None,
    real: np.ndarray | None = None,
) -> Reconstruction:
    """Train an integer network block by block to give what the float network gives.

    Args:
        graph: float.
        integer: the same, quantized: where training starts.
        inputs: integers [n, ...], calibration pictures as ``integer`` takes them.
        equalized: the float network that ``integer`` quantizes, if not ``graph``.
        real: float32 [n, ...], what ``graph`` takes, where that is not what ``inputs`` stand for.

    Raises:
        QmkitError: ``no-torch``.
    """
    check_torch()
    from quantmcu_kit.accuracy.training import squared, train_blocks

    equalized = equalized or Equalized(graph, None)
    return train_blocks(equalized, graph, integer, inputs, split(integer), squared, settings, progress, real)


def distil(
    graph: Graph,
    integer: Graph,
    inputs: np.ndarray,
    settings: Settings,
    progress: Progress = lambda stage, done, total: None,
    equalized: Equalized | None = None,
    real: np.ndarray | None = None,
) -> Reconstruction:
    """As :func:`reconstruct`, of the whole network at once: classes as likely as the float network's, where it tells
    classes apart. Nothing is done to a network of several outputs, or without layers."""
    check_torch()
    if len(integer.outputs) > 1 or not integer.nodes:
        return Reconstruction(Adjustments(), ())
    from quantmcu_kit.accuracy.training import divergence, squared, train_blocks

    equalized = equalized or Equalized(graph, None)
    distance = divergence if class_count(integer) and integer.nodes[-1].op != "LOGISTIC" else squared
    return train_blocks(equalized, graph, integer, inputs, [whole(integer)], distance, settings, progress, real)
