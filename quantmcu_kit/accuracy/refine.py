"""Everything that makes a quantized network better once its widths are known."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from quantmcu_kit import quantize
from quantmcu_kit.accuracy.settings import Settings
from quantmcu_kit.accuracy.start import Progress, distil, reconstruct
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import Calibration, PrecisionPlan
from quantmcu_kit.quantize import Adjustments, Equalized
from quantmcu_kit.quantize.adjust import NONE

FEEDBACK_PICTURES = 64  # a layer's moments settle with few


@dataclass(frozen=True, eq=False)
class Fitted:
    """A quantized network whose constants are fitted to what it reads itself.

    Attributes:
        equalized: the float network that it quantizes.
    """

    equalized: Equalized
    adjustments: Adjustments
    precision: PrecisionPlan
    settings: quantize.Settings

    def applied(self, more: Adjustments = NONE) -> Graph:
        """The integer graph.

        Args:
            more: adjustments that take the place of its own.
        """
        both = self.adjustments | more
        return quantize.apply(self.equalized.graph, self.equalized.calibration, self.precision, self.settings, both)


def refine(
    graph: Graph,
    calibration: Calibration,
    precision: PrecisionPlan,
    settings: quantize.Settings,
    inputs: np.ndarray,
    effort: Settings | None,
    progress: Progress = lambda stage, done, total: None,
) -> Fitted:
    """The network, its constants fitted; with effort, trained.

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
    if settings.equalization:
        fast = dataclasses.replace(settings, rounding="nearest")
        source = quantize.apply(graph, calibration, precision, fast).tensors[graph.inputs[0].tensor]
        real = source.quant.dequantize(few)
        equalized = quantize.equalize(graph, calibration, precision, settings.range_method, real)
    if settings.feedback and settings.rounding == "second-order":
        found = quantize.feed_back(graph, calibration, precision, settings, few, progress, equalized=equalized)
    fitted = Fitted(equalized, found, precision, settings)
    if effort is not None:
        blocks = effort.blocks_share
        for stage, train, share in (("reconstruct", reconstruct, blocks), ("distil", distil, 1 - blocks)):
            if share == 0:
                continue
            part = dataclasses.replace(effort, seconds=effort.seconds * share, stage=stage)
            more = train(graph, fitted.applied(), inputs, part, progress, equalized).adjustments
            fitted = dataclasses.replace(fitted, adjustments=fitted.adjustments | more)
    return fitted
