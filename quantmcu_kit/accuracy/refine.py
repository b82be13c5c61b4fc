"""Everything that makes a quantized network better once its widths are known."""

from __future__ import annotations

import dataclasses

import numpy as np

from quantmcu_kit import quantize
from quantmcu_kit.accuracy.settings import Settings
from quantmcu_kit.accuracy.start import Progress, distil, reconstruct
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import Calibration, PrecisionPlan
from quantmcu_kit.quantize import Adjustments, Equalized

FEEDBACK_PICTURES = 64  # a layer's moments settle with few


def refine(
    graph: Graph,
    calibration: Calibration,
    precision: PrecisionPlan,
    settings: quantize.Settings,
    inputs: np.ndarray,
    effort: Settings | None,
    progress: Progress = lambda stage, done, total: None,
) -> Graph:
    """The integer graph, its constants fitted to what it reads itself; with effort, trained.

    Args:
        graph: float.
        precision: without branch classes.
        inputs: int8 [n, ...], calibration pictures as the integer graph takes them.
        effort: None: nothing is trained, and torch is not needed.

    Raises:
        QmkitError: ``no-torch``.
    """
    few = inputs[np.linspace(0, len(inputs) - 1, min(len(inputs), FEEDBACK_PICTURES)).astype(int)]
    equalized, found = Equalized(graph, calibration), Adjustments()

    def applied() -> Graph:
        return quantize.apply(equalized.graph, equalized.calibration, precision, settings, found)

    if settings.equalization:
        fast = dataclasses.replace(settings, rounding="nearest")
        source = quantize.apply(graph, calibration, precision, fast).tensors[graph.inputs[0].tensor]
        real = source.quant.dequantize(few)
        equalized = quantize.equalize(graph, calibration, precision, settings.range_method, real)
    if settings.feedback and settings.rounding == "second-order":
        found = quantize.feed_back(graph, calibration, precision, settings, few, progress, equalized=equalized)
    if effort is not None:
        blocks = effort.blocks_share
        for stage, train, share in (("reconstruct", reconstruct, blocks), ("distil", distil, 1 - blocks)):
            if share == 0:
                continue
            part = dataclasses.replace(effort, seconds=effort.seconds * share, stage=stage)
            found = found | train(graph, applied(), inputs, part, progress, equalized).adjustments
    return applied()
