"""Everything that makes a quantized network better once its widths are known."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from quantmcu_kit import quantize
from quantmcu_kit.accuracy.behind import behind_classes
from quantmcu_kit.accuracy.settings import Settings
from quantmcu_kit.accuracy.start import Progress, distil, reconstruct
from quantmcu_kit.ir.branches import Branches
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import WHOLE, Calibration, PrecisionPlan
from quantmcu_kit.quantize import Adjustments, Equalized, PatchClasses
from quantmcu_kit.quantize.adjust import NONE

FEEDBACK_PICTURES = 64  # that a build without training fits constants to; more take as much more time
_MOST_VALUES = 1 << 28  # of the largest map of all pictures that layers are fitted to: 1 GB


@dataclass(frozen=True, eq=False)
class Fitted:
    """A quantized network whose constants are fitted to what it reads itself.

    Attributes:
        equalized: the float network that it quantizes.
        classes: of its patches, where they have several.
    """

    equalized: Equalized
    adjustments: Adjustments
    precision: PrecisionPlan
    settings: quantize.Settings
    classes: PatchClasses | None = None

    def applied(self, more: Adjustments = NONE) -> Graph:
        """The integer graph of a network without classes.

        Args:
            more: adjustments that take the place of its own.
        """
        return self._graphs(more)[WHOLE]

    def branches(self, more: Adjustments = NONE) -> Branches:
        """Likewise, of a network with classes."""
        return self.classes.branches(self._graphs(more))

    def _graphs(self, more: Adjustments) -> dict[str, Graph]:
        both = self.adjustments | more
        float_network = self.equalized.graph, self.equalized.calibration
        return quantize.quantized(*float_network, self.precision, self.settings, self.classes, both)


def refine(
    graph: Graph,
    calibration: Calibration,
    precision: PrecisionPlan,
    settings: quantize.Settings,
    inputs: np.ndarray,
    effort: Settings | None,
    progress: Progress = lambda stage, done, total: None,
    classes: PatchClasses | None = None,
) -> Fitted:
    """The network, its constants fitted; with effort, trained. With classes of patches, layers behind them are trained.

    Args:
        graph: float.
        inputs: int8 [n, ...], calibration pictures as the integer graph takes them. A layer of small maps and many
            inputs still gains by some hundred of them.
        effort: None: nothing is trained, and torch is not needed.
        classes: those that ``precision`` lists widths of.

    Raises:
        QmkitError: ``no-torch``.
    """
    most = _MOST_VALUES // max(tensor.elements for tensor in graph.feature_maps())
    some = spread(inputs, max(1, most))
    equalized, found = Equalized(graph, calibration), Adjustments()
    if settings.equalization:
        fast = dataclasses.replace(settings, rounding="nearest")
        first = next(iter(quantize.quantized(graph, calibration, precision, fast, classes).values()))
        real = first.tensors[graph.inputs[0].tensor].quant.dequantize(spread(some, FEEDBACK_PICTURES))
        fixed = classes.fixed if classes else ()
        equalized = quantize.equalize(graph, calibration, precision, settings.range_method, real, fixed)
    if settings.feedback and settings.rounding == "second-order":
        found = quantize.feed_back(
            graph, calibration, precision, settings, some, progress, equalized=equalized, classes=classes
        )
    fitted = Fitted(equalized, found, precision, settings, classes)
    return fitted if effort is None else _trained(graph, fitted, inputs, effort, progress)


def spread(inputs: np.ndarray, most: int) -> np.ndarray:
    """So many of the inputs, evenly spread, or all."""
    return inputs[np.linspace(0, len(inputs) - 1, min(len(inputs), most)).astype(int)]


def _trained(graph: Graph, fitted: Fitted, inputs: np.ndarray, effort: Settings, progress: Progress) -> Fitted:
    blocks = effort.blocks_share
    for stage, train, share in (("reconstruct", reconstruct, blocks), ("distil", distil, 1 - blocks)):
        if share == 0:
            continue
        part = dataclasses.replace(effort, seconds=effort.seconds * share, stage=stage)
        if fitted.classes is None:
            found = train(graph, fitted.applied(), inputs, part, progress, fitted.equalized)
        else:
            behind = behind_classes(graph, fitted.branches(), fitted.classes, inputs)
            found = train(behind.graph, behind.integer, behind.inputs, part, progress, fitted.equalized, behind.real)
        fitted = dataclasses.replace(fitted, adjustments=fitted.adjustments | found.adjustments)
    return fitted
