"""A float network whose patches are to have classes, with everything that a quantization of it needs."""

from __future__ import annotations

import numpy as np

from quantmcu_kit import accuracy, quantize
from quantmcu_kit.ir.branches import Branches, Scan, StaticClasses
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import MIXED, OUTLIER, WHOLE, PrecisionPlan
from quantmcu_kit.ir.schedule import Grid, HaloMode, Schedule, Stage
from quantmcu_kit.ops.branches import BranchInterpreter
from quantmcu_kit.ops.interpret import Interpreter
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.patch.lay_out import lay_out_segment
from quantmcu_kit.patch.segment import segment
from quantmcu_kit.quantize import PatchClasses
from tests.support.float_networks import calibrated, inverted_residual, pictures

SETTINGS = quantize.Settings()
CHECKERS = StaticClasses(((OUTLIER, MIXED), (MIXED, OUTLIER)))
# Bright patches are outliers: about half of those of the pictures.
BRIGHT = Scan(np.abs(np.arange(256).astype(np.uint8).view(np.int8).astype(np.int16)).astype(np.uint16), 28)
_INNER = ("stem", "expand", "depthwise", "project")


def staged(graph: Graph, start: int, end: int, mode: HaloMode = HaloMode.RECOMPUTE) -> Schedule:
    """Nodes [start, end) in patches of a 2x2 grid."""
    patches = lay_out_segment(graph, segment(graph, start, end), Grid(2, 2), mode, is_pulled=False)
    stages = (Stage(0, start, None), Stage(start, end, patches), Stage(end, len(graph.nodes), None))
    return Schedule(tuple(stage for stage in stages if stage.end > stage.start))


class ClassCase:
    """The residual network, nodes [start, 5) in patches of two classes. Weights have 4 bits.

    Args:
        rule: of the classes; static ones are repeated where rows are kept, and there are more rows of patches.
        mixed, outlier: bits of the inner maps.
        behind: bits of weights behind the stage.
        count: pictures.
    """

    def __init__(
        self,
        rule: Scan | StaticClasses = CHECKERS,
        *,
        mixed: int = 4,
        outlier: int = 8,
        start: int = 0,
        mode: HaloMode = HaloMode.RECOMPUTE,
        behind: int = 4,
        count: int = 64,
    ) -> None:
        self.graph, self.x = inverted_residual(), pictures(count)
        self.calibration = calibrated(self.graph, self.x)
        schedule = staged(self.graph, start, 5, mode)
        stage = int(start > 0)
        if isinstance(rule, StaticClasses):
            rows = schedule.stages[stage].patches.row_steps
            rule = StaticClasses(tuple(rule.names[row % 2] for row in range(rows)))
        self.classes = PatchClasses(schedule, stage, rule, {})
        inner = [name for name in _INNER if name in self.classes.inner]
        widths = {(OUTLIER, name): outlier for name in inner} | {(MIXED, name): mixed for name in inner}
        weights = [node.inputs[1] for node in self.graph.nodes if TABLE[node.op].weight_axis is not None]
        bits = {name: 4 if index < len(_INNER) else behind for index, name in enumerate(weights)}
        self.plan = PrecisionPlan(8, widths | {(WHOLE, "last"): 4}, bits)
        self.plain = self.quantized()
        self.inputs = self.integers(self.x)

    def quantized(self, adjustments: quantize.Adjustments = quantize.adjust.NONE) -> dict[str, Graph]:
        return quantize.quantized(self.graph, self.calibration, self.plan, SETTINGS, self.classes, adjustments)

    def integers(self, x: np.ndarray) -> np.ndarray:
        """Pictures as the integer network takes them."""
        return self.plain[OUTLIER].tensors["x"].quant.quantize(x, -128, 127).astype(np.int8)

    def feed_back(self) -> quantize.Adjustments:
        return quantize.feed_back(self.graph, self.calibration, self.plan, SETTINGS, self.inputs, classes=self.classes)

    def refined(self, effort: accuracy.Settings | None = None) -> accuracy.Fitted:
        arguments = (self.graph, self.calibration, self.plan, SETTINGS, self.inputs, effort)
        return accuracy.refine(*arguments, classes=self.classes)

    def interpreter(self, branches: Branches) -> BranchInterpreter:
        return BranchInterpreter(branches.common, self.classes.schedule, branches, keep_all=True)

    def error(self, branches: Branches, name: str) -> float:
        """Mean square of a map outside of the stage, on pictures that nothing was fitted to."""
        fresh = pictures(64, seed=6)
        wanted = Interpreter(self.graph, integer=False, keep_all=True).run({"x": fresh})[name]
        found = self.interpreter(branches).run({"x": self.integers(fresh)})[name]
        return float(np.square(branches.common.tensors[name].quant.dequantize(found) - wanted).mean())
