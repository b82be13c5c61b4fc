"""HAQ (Wang et al., CVPR 2019): an agent learns the widths, layer after layer, by deep deterministic policy gradients.

An episode gives every choice a width in the order of the network: of each layer first the weights, then the input. The
agent sees ten numbers (:func:`states_of`) and answers with one in [0, 1], from narrow to wide. Then widths go down from
the last layer backwards until the budgets hold. The reward comes at the end: a tenth of the percentage points lost. For
accuracy stands exp(−loss), which is the share of its probability that a class keeps where the loss is a divergence in
nats; it is measured with all choices together where the problem can (``Problem.evaluate``), else predicted.

The agent is in ``haq_agent``, which needs the extra ``[rl]``. λ plays no part: the budgets say what is to be saved.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec

import numpy as np

from quantmcu_kit.errors import EXIT_ENVIRONMENT, QmkitError
from quantmcu_kit.search.budget import check_possible
from quantmcu_kit.search.fits import cost_limits, meets, refusal
from quantmcu_kit.search.memory_driven import map_size
from quantmcu_kit.search.problem import Assignment, Problem, Work
from quantmcu_kit.search.result import SearchResult, result_of
from quantmcu_kit.search.vdqs import Settings

FEATURES = 10
LAST_ACTION = 8  # the feature that is the action before
_PACKAGES = ("stable_baselines3", "gymnasium")
_WORST = -10.0  # reward where nothing fits, and the least there is


@dataclass(frozen=True)
class Training:
    """How long the agent learns.

    Attributes:
        episodes: at most.
        patience: episodes without a better result that end it.
        warm_up: episodes of random actions at the beginning.
        seed: of all random numbers.
    """

    episodes: int = 600
    patience: int = 150
    warm_up: int = 20
    seed: int = 0


def haq(problem: Problem, settings: Settings, training: Training | None = None) -> SearchResult:
    """The best widths of all episodes. Deterministic.

    Raises:
        QmkitError: ``no-rl``: the extra is not installed; ``infeasible-budget``: no episode met the budgets.
    """
    started = time.perf_counter()
    check_installed()
    from quantmcu_kit.search.haq_agent import train

    check_possible(problem)
    episodes = Episodes(problem)
    if episodes.steps:
        train(episodes, training or Training(), settings.progress)
    else:
        episodes.finish([])
    if episodes.best is None:
        raise refusal(problem, problem.narrowest)
    return result_of(problem, episodes.best, "haq", seconds=time.perf_counter() - started)


def check_installed() -> None:
    """Raise ``no-rl`` where the extra is not installed."""
    missing = next((name for name in _PACKAGES if find_spec(name) is None), None)
    if missing:
        raise QmkitError(
            "no-rl",
            "the search 'haq' needs a library for reinforcement learning",
            why=f"it is an extra of qmkit, and {missing} is not installed",
            hint='pip install "quantmcu-kit[rl]"',
            exit_code=EXIT_ENVIRONMENT,
        )


class Episodes:
    """What episodes have in common, and what came of them.

    Attributes:
        best: the assignment of most reward, the first of equals; None where none met the budgets.
        best_reward: in [−10, 0].
        done: how many episodes there were.
        since_best: how many since the best.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._rewards: dict[Assignment, float] = {}
        self.best: Assignment | None = None
        self.best_reward = -math.inf
        self.done = 0
        self.since_best = 0

    @cached_property
    def steps(self) -> tuple[int, ...]:
        """Choices that are not fixed, in the order of the network."""
        return tuple(index for index, _ in _steps(self._problem))

    @cached_property
    def states(self) -> np.ndarray:
        """float32 [steps, 10], the action before left zero."""
        return states_of(self._problem)

    def finish(self, actions: Sequence[float]) -> float:
        """The reward of an episode's actions, in [0, 1] each."""
        problem, bits = self._problem, list(self._problem.widest)
        for index, action in zip(self.steps, actions, strict=True):
            bits[index] = width_of(problem.choices[index].widths, action)
        repaired = repair(problem, self.steps, bits)
        reward = _WORST if repaired is None else self._reward(repaired)
        self.done += 1
        self.since_best += 1
        if repaired is not None and reward > self.best_reward:
            self.best, self.best_reward, self.since_best = repaired, reward, 0
        return reward

    def _reward(self, bits: Assignment) -> float:
        if bits not in self._rewards:
            problem = self._problem
            loss = problem.evaluate(bits).mean() if problem.evaluate else problem.predicted(bits)
            self._rewards[bits] = reward_of(float(loss))
        return self._rewards[bits]


def reward_of(loss: float) -> float:
    """0.1 · Δaccuracy in percent."""
    return 0.1 * 100 * (math.exp(-max(0.0, loss)) - 1)


def width_of(widths: Sequence[int], action: float) -> int:
    """The candidate of an action: [0, 1] in as many equal parts, 0 the narrowest."""
    return sorted(widths)[min(len(widths) - 1, int(action * len(widths)))]


def _steps(problem: Problem) -> list[tuple[int, Work]]:
    """(choice, the first work that it takes part in), in the order of the network."""
    found: dict[int, Work] = {}
    for work in problem.works:
        for index in ([] if work.weights is None else [work.weights]) + [*work.inputs]:
            if not problem.choices[index].is_fixed:
                found.setdefault(index, work)
    for work in problem.works:
        if not problem.choices[work.output].is_fixed:
            found.setdefault(work.output, work)
    return list(found.items())


def states_of(problem: Problem) -> np.ndarray:
    """float32 [steps, 10] in [0, 1]: what the agent sees of each step, the action before left zero.

    Whether the layer is depthwise, input channels, output channels, stride, kernel size, weights, elements of the
    input, index, the action before, and whether it is about weights. Sizes are told from the layer's maps and weights.
    Every column is scaled by its least and largest value.
    """
    rows = []
    for at, (index, work) in enumerate(_steps(problem)):
        x_elements, x_channels = map_size(problem, work, work.inputs[0])
        y_elements, y_channels = map_size(problem, work, work.output)
        weights = 0 if work.weights is None else problem.choices[work.weights].elements
        ratio = (x_elements / max(1, x_channels)) / max(1, y_elements / max(1, y_channels))
        is_depthwise = 0 < weights < x_channels * y_channels
        taps = weights / (y_channels if is_depthwise else x_channels * y_channels)
        kernel, stride = math.sqrt(taps), math.sqrt(max(1.0, ratio))
        is_weights = index == work.weights
        rows.append((is_depthwise, x_channels, y_channels, stride, kernel, weights, x_elements, at, 0.0, is_weights))
    table = np.array(rows, np.float64).reshape(len(rows), FEATURES)
    if len(table):
        low, high = table.min(axis=0), table.max(axis=0)
        table = (table - low) / np.where(high > low, high - low, 1.0)
    return table.astype(np.float32)


def repair(problem: Problem, steps: Sequence[int], bits: Sequence[int]) -> Assignment | None:
    """Lower widths from the last layer backwards, a candidate at a time, until the budgets hold.

    What saves nothing that a budget lacks stays. None where not even the narrowest widths meet the budgets.
    """
    widths = list(bits)
    lacking = _lacking(problem, widths)
    while lacking > 0:
        before = lacking
        for index in reversed(steps):
            narrower = problem.choices[index].below(widths[index])
            if narrower is None:
                continue
            lowered = [*widths[:index], narrower, *widths[index + 1 :]]
            left = _lacking(problem, lowered)
            if left < lacking:
                widths, lacking = lowered, left
                if lacking <= 0:
                    break
        if lacking == before:
            break
    if lacking <= 0 and meets(problem, widths):
        return tuple(widths)
    return problem.narrowest if meets(problem, problem.narrowest) else None


def _lacking(problem: Problem, bits: Sequence[int]) -> float:
    """By how much widths overrun the budgets, in shares of them."""
    budgets = problem.budgets
    reached = [(problem.total(cost, bits), limit) for _, cost, limit in cost_limits(problem)]
    if budgets.flash_bytes is not None:
        reached.append((problem.flash_bytes(bits), budgets.flash_bytes))
    if budgets.ram_bytes is not None:
        reached += [(each.bytes(bits), budgets.ram_bytes) for each in problem.neighbours]
        if problem.arena is not None:
            reached.append((problem.ram_bytes(tuple(bits)), budgets.ram_bytes))
    return sum(max(0.0, value / limit - 1) for value, limit in reached)
