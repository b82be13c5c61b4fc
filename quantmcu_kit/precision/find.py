"""Float network, calibration and schedule -> the mix of widths, and with it the integer network."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from quantmcu_kit import quantize, search
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.branches import Branches, check_branches, inner_maps
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import OUTLIER, WHOLE, Calibration, TensorStats
from quantmcu_kit.ir.schedule import Schedule
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.precision.classes import Candidate, candidate
from quantmcu_kit.precision.owners import class_stats
from quantmcu_kit.precision.sensitivity import PICTURES, Sensitivity
from quantmcu_kit.precision.settings import Settings
from quantmcu_kit.quantize.ranges import choose_range
from quantmcu_kit.quantize.ties import tie_groups
from quantmcu_kit.search import SearchResult
from quantmcu_kit.search.problem import INT8, Assignment, CostFunction, Key, Problem
from quantmcu_kit.search.vdpc import class_shares, outlier_rate

Progress = Callable[[str, int, int], None]
ACCURACY_ONLY = 1.0  # λ where a budget of cost says how much is to be saved
TRADE_OFFS = {"kl": 0.95, "entropy": 0.5}  # λ where nothing does, by proxy (`make sweep-vdqs`)
_MOST_BYTES = 1 << 29  # of the maps that are kept


@dataclass(frozen=True)
class Attempt:
    """A search, with classes or without.

    Attributes:
        name: ``off``, or the rule of the classes.
        predicted: sum of the choices' losses: in nats or in bits of entropy, as the proxy has it.
        divergence: measured with all choices together, in nats or in variances of the output.
        bitops: per picture.
        outlier_share: of all patches of the calibration pictures.
        trade_off: the search's λ; 1 where a budget, or the cost of an attempt before, says what is to be saved.
    """

    name: str
    predicted: float
    divergence: float
    bitops: int
    outlier_share: float = 0.0
    trade_off: float | None = None


@dataclass(frozen=True, eq=False)
class Mix:
    """The integer network in its widths.

    Attributes:
        graph: as all layers outside of branch classes see it.
        branches: None where patches have no classes.
        schedule: as given.
        result: of the search.
        outliers: bool [pictures, row steps, column steps] on the calibration pictures; None without classes.
        attempts: all that were tried, the chosen one first.
        seconds: of everything but the search itself.
        class_stats: by (branch class, inner map), what patches of the class hold.
    """

    graph: Graph
    branches: Branches | None
    schedule: Schedule
    result: SearchResult
    outliers: np.ndarray | None
    attempts: tuple[Attempt, ...]
    seconds: float
    class_stats: Mapping[Key, TensorStats] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Limits:
    """What the problem is told beside the network."""

    budgets: search.Budgets
    cycles: CostFunction | None
    fixed_flash_bytes: int
    fixed_bytes: Mapping[str, int]

    @property
    def bounds_cost(self) -> bool:
        """Whether BitOPs or cycles have a budget."""
        return self.budgets.bitops is not None or self.budgets.cycles is not None

    def at_cost_of(self, found: _Found, settings: Settings) -> _Limits:
        """With classes no more may be spent than without them, so that losses compare."""
        result = found.result
        cost = {"cycles": result.cycles} if settings.by_cycles else {"bitops": float(result.bitops) or None}
        return dataclasses.replace(self, budgets=dataclasses.replace(self.budgets, **cost))


@dataclass(frozen=True, eq=False)
class _Found:
    """The outcome of one attempt; ``divergences`` are those of the pictures."""

    attempt: Attempt
    divergences: np.ndarray
    result: SearchResult
    classes: Candidate | None
    stats: Mapping[Key, TensorStats]


def find_precision(
    graph: Graph,
    base: Graph,
    calibration: Calibration,
    schedule: Schedule,
    inputs: np.ndarray,
    settings: Settings,
    quantize_settings: quantize.Settings,
    *,
    budgets: search.Budgets | None = None,
    cycles: CostFunction | None = None,
    fixed_flash_bytes: int = 0,
    fixed_bytes: Mapping[str, int] | None = None,
    sensitivity: Sensitivity | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> Mix:
    """Search for widths within budgets, and quantize.

    Args:
        graph: float.
        base: the integer graph with 8 bits everywhere.
        inputs: int8 [n, ...], the input of ``base`` on calibration pictures; the first of them are measured on.
        fixed_flash_bytes: flash beside the weights.
        fixed_bytes: RAM beside feature maps, by node.
        sensitivity: of the same network and pictures, where it exists: it remembers what it measured.

    Raises:
        QmkitError: ``infeasible-budget`` and what else the search raises; ``bad-loss`` for NaN and infinities.
    """
    started = time.perf_counter()
    sensitivity = sensitivity or sensitivity_of(graph, base, calibration, inputs, settings, quantize_settings)
    limits = _Limits(budgets or search.Budgets(), cycles, fixed_flash_bytes, fixed_bytes or {})
    finder = _Finder(graph, calibration, schedule, sensitivity, settings, quantize_settings, progress)
    found: list[_Found] = []
    has_again = False
    if settings.vdpc in ("off", "auto"):
        found.append(finder.attempt(None, limits))
    if settings.vdpc == "auto":
        is_bounded, limits = limits.bounds_cost, limits.at_cost_of(found[0], settings)
        has_again = not is_bounded and settings.trade_off is None  # the least loss at the cost that λ led to
    classes = None if settings.vdpc == "off" else candidate(schedule, calibration, sensitivity, settings)
    try:
        found += [finder.attempt(None, limits)] if has_again else []
        found += [finder.attempt(classes, limits)] if classes or not found else []
    except QmkitError as error:  # outliers stay at 8 bits: what is left may not be enough for the budgets
        if not found or error.code != "infeasible-budget":
            raise
    best = _best(found)
    integer, branches = finder.quantized(best)
    return Mix(
        integer,
        branches,
        schedule,
        best.result,
        best.classes.outliers if best.classes else None,
        (best.attempt, *(each.attempt for each in found if each is not best)),
        time.perf_counter() - started,
        best.stats,
    )


def _best(found: Sequence[_Found]) -> _Found:
    """The first attempt, unless another diverges less by more than the standard error of the paired difference."""
    best = found[0]
    for each in found[1:]:
        less = best.divergences - each.divergences
        if less.mean() > less.std() / np.sqrt(len(less)):
            best = each
    return best


def sensitivity_of(
    graph: Graph,
    base: Graph,
    calibration: Calibration,
    inputs: np.ndarray,
    settings: Settings,
    quantize_settings: quantize.Settings,
) -> Sensitivity:
    """What measures losses on the first of the pictures: as many as memory allows to keep all maps of."""
    values = sum(tensor.elements for tensor in base.feature_maps())
    count = max(1, min(PICTURES, _MOST_BYTES // max(1, values)))
    return Sensitivity(
        graph, calibration, quantize_settings, inputs[:count], weight_widths=settings.weight_widths, base=base
    )


class _Finder:
    """What all attempts have in common."""

    def __init__(
        self,
        graph: Graph,
        calibration: Calibration,
        schedule: Schedule,
        sensitivity: Sensitivity,
        settings: Settings,
        quantize_settings: quantize.Settings,
        progress: Progress,
    ) -> None:
        self._graph, self._calibration, self._schedule = graph, calibration, schedule
        self._sensitivity, self._settings, self._progress = sensitivity, settings, progress
        self._quantize_settings = quantize_settings
        self._ties = tie_groups(graph)

    def attempt(self, classes: Candidate | None, limits: _Limits) -> _Found:
        """Search with the classes of a candidate, or without any."""
        stats: Mapping[Key, TensorStats] = {}
        if classes is not None:
            inner = inner_maps(self._schedule.stages[classes.stage].patches)
            maps = [t for t in self._sensitivity.base.feature_maps() if t.name in inner]
            stats = class_stats(classes.owners, maps, self._sensitivity.batches)
        self._sensitivity.set_classes(classes.owners if classes else None, stats)
        problem = self._with_losses(self._problem(classes, limits), stats, classes.name if classes else "off")
        problem = dataclasses.replace(problem, evaluate=lambda bits: self._measured(problem, bits))
        strategy = search.Settings(
            self._trade_off(limits),
            scores_weights=len(self._settings.weight_widths) > 1,
            progress=self._progress,
            state=self._settings.state,
        )
        result = search.run(self._settings.search, problem, strategy)
        assignment = problem.assignment(result.precision)
        divergences = self._measured(problem, assignment)
        share = 0.0 if classes is None else float(classes.outliers.mean())
        name = "off" if classes is None else classes.name
        attempt = Attempt(
            name, problem.predicted(assignment), float(divergences.mean()), result.bitops, share, result.trade_off
        )
        return _Found(attempt, divergences, result, classes, stats)

    def _trade_off(self, limits: _Limits) -> float:
        if self._settings.trade_off is not None:
            return self._settings.trade_off
        is_by_budgets = limits.bounds_cost or search.saves_by_budgets(self._settings.search)
        return ACCURACY_ONLY if is_by_budgets else TRADE_OFFS[self._settings.proxy]

    def _measured(self, problem: Problem, assignment: Assignment) -> np.ndarray:
        """The divergence of each picture, all choices together."""
        return self._sensitivity.divergences(dict(zip(problem.choices, assignment, strict=True)))

    def _problem(self, classes: Candidate | None, limits: _Limits) -> Problem:
        shares = {classes.stage: class_shares(outlier_rate(classes.outliers))} if classes else {}
        # The paper's outliers stay at 8 bits. Classes by harm only part patches: each gets the widths that it can bear.
        pinned = {OUTLIER} if self._settings.vdpc_rule == "gaussian" else set()
        wants = search.Wants(self._settings.map_widths, self._settings.weight_widths, frozenset(pinned))
        problem = search.build(
            self._graph, self._ties, self._schedule, classes=shares, wants=wants, fixed_bytes=limits.fixed_bytes
        )
        return dataclasses.replace(
            problem,
            budgets=limits.budgets,
            cycles=limits.cycles,
            by_cycles=self._settings.by_cycles,
            fixed_flash_bytes=limits.fixed_flash_bytes,
        )

    def _with_losses(self, problem: Problem, stats: Mapping[Key, TensorStats], name: str) -> Problem:
        if self._settings.proxy == "entropy":
            return self._with_entropies(problem, stats)
        return search.with_divergences(
            problem,
            self._sensitivity,
            lambda done, total: self._progress(f"sensitivity, vdpc {name}", done, total),
        )

    def _with_entropies(self, problem: Problem, stats: Mapping[Key, TensorStats]) -> Problem:
        maps = {(WHOLE, name): each for name, each in self._calibration.tensors.items()} | dict(stats)
        method = self._quantize_settings.range_method
        ranges = {key: choose_range(each, method, INT8) for key, each in maps.items()}
        axes = {n.inputs[1]: TABLE[n.op].weight_axis for n in self._graph.nodes if TABLE[n.op].weight_axis is not None}
        weights = {
            name: search.weight_stats(self._graph.tensors[name].data, axis, name=name) for name, axis in axes.items()
        }
        return search.with_entropies(problem, maps, weights, ranges)

    def quantized(self, found: _Found) -> tuple[Graph, Branches | None]:
        """The integer network of an attempt."""
        arguments = (self._graph, self._calibration, found.result.precision, self._quantize_settings)
        if found.classes is None:
            return quantize.apply(*arguments), None
        inner = inner_maps(self._schedule.stages[found.classes.stage].patches)
        graphs = quantize.apply_classes(*arguments, inner=inner, class_stats=found.stats)
        branches = check_branches(Branches(found.classes.stage, graphs, found.classes.rule), self._schedule)
        return branches.common, branches
