"""Memory-driven widths (Rusci et al. 2019, arXiv 1905.13082): widths are halved until memory fits, whatever they lose.

RAM rule, of every convolution and fully-connected layer: (|x|·Qx + |y|·Qy) / 8 ≤ M_RAM. While a layer breaks it, sweeps
over the network alternate. The forward sweep may halve the layer's output, where that is wider than its input, or as
wide and takes as much memory at least; the backward sweep its input, where that is wider, or as wide and takes more.

ROM rule: Σ|w|·Qw / 8 and the constants per channel ≤ M_ROM. While it is broken, weights are halved: of the layers whose
share of all weight bytes is within 0.05 of the largest share, the first.

Two accounts are kept apart. The rules count as the paper does: elements times bits, with no padding of pixels and rows
to whole bytes; no map that merely stays alive; no scratch; no code; and 10 bytes of constants per output channel. The
budgets are then held to this kit's exact account, which is what a build reports. Where the paper's result breaks it,
the rules go on: of the maps that are in memory together at the worst moment, the largest is halved; weights as before.
BitOPs and cycles, of which the paper knows nothing, are lowered like weights: of the layers whose share of the cost is
within 0.05 of the largest, the first halves the wider of its weights and its input.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from quantmcu_kit.search.budget import check_possible
from quantmcu_kit.search.fits import cost_limits, meets, ram_reached, refusal
from quantmcu_kit.search.problem import CostFunction, Neighbours, Problem, Work
from quantmcu_kit.search.result import SearchResult, result_of
from quantmcu_kit.search.vdqs import Settings

ICN_BYTES = 4 + 1 + 4 + 1  # per output channel: multiplier, shift, bias, zero-point of the weights
SHARE = 0.05  # the paper's δ


@dataclass(frozen=True)
class Layer:
    """A convolution or fully-connected layer, as the rules see it.

    Attributes:
        work: its index in the problem.
        x, y, weights: choices of its input, output and weights.
        x_elements, y_elements: of its maps, or of their tiles where it runs in patches.
        channels: of its output.
    """

    work: int
    name: str
    x: int
    y: int
    weights: int
    x_elements: int
    y_elements: int
    channels: int

    def memory(self, bits: Sequence[int]) -> tuple[int, int]:
        """Bits in RAM of the input and of the output."""
        return self.x_elements * bits[self.x], self.y_elements * bits[self.y]

    def ram_bytes(self, bits: Sequence[int]) -> float:
        """Left side of the RAM rule."""
        return sum(self.memory(bits)) / 8


def memory_driven(problem: Problem, settings: Settings) -> SearchResult:
    """Widths by the two rules, then by the exact budgets. Losses and λ play no part.

    Raises:
        QmkitError: ``infeasible-budget``: everything that the rules may halve is at its narrowest.
    """
    started = time.perf_counter()
    check_possible(problem)
    layers, bits = layers_of(problem), list(problem.widest)
    if problem.budgets.ram_bytes is not None:
        cut_activations(problem, layers, problem.budgets.ram_bytes, bits)
    if problem.budgets.flash_bytes is not None:
        cut_weights(problem, layers, problem.budgets.flash_bytes, bits)
    while not meets(problem, bits):
        before = tuple(bits)
        _cut_neighbours(problem, bits)
        for _, cost, limit in cost_limits(problem):
            _cut_cost(problem, layers, cost, limit, bits)
        if tuple(bits) == before:
            raise refusal(problem, bits)
    return result_of(problem, tuple(bits), "memory-driven", seconds=time.perf_counter() - started)


def layers_of(problem: Problem) -> tuple[Layer, ...]:
    """The layers with weights, in order."""
    found = []
    for index, work in enumerate(problem.works):
        if work.weights is not None:
            x, y = work.inputs[0], work.output
            x_elements, _ = map_size(problem, work, x)
            y_elements, channels = map_size(problem, work, y)
            found.append(Layer(index, work.name, x, y, work.weights, x_elements, y_elements, channels))
    return tuple(found)


def map_size(problem: Problem, work: Work, index: int) -> tuple[int, int]:
    """(elements, channels) of a choice of maps: of what is in memory of it while a node runs."""
    near = (each for each in problem.neighbours if (each.where, each.branch_class) == (work.name, work.branch_class))
    blocks = [(b.pixels * b.channels, b.channels) for each in near for b in each.blocks if b.choice == index]
    choice = problem.choices[index]
    return max(blocks, default=(choice.elements, choice.run))


def rom_bytes(problem: Problem, layers: Iterable[Layer], bits: Sequence[int]) -> float:
    """Left side of the ROM rule."""
    weights, channels = {}, {}
    for layer in layers:
        weights[layer.weights] = problem.choices[layer.weights].elements * bits[layer.weights] / 8
        channels[layer.name] = layer.channels
    return sum(weights.values()) + ICN_BYTES * sum(channels.values())


def cut_activations(problem: Problem, layers: Sequence[Layer], limit: int, bits: list[int]) -> bool:
    """Sweep forward and backward in turn until every layer keeps the RAM rule; whether all do.

    The network's input and output stay at 8 bits; where the two ends of a layer may not go down any more, the rule
    stays broken.
    """
    while any(layer.ram_bytes(bits) > limit for layer in layers):
        before = tuple(bits)
        for layer in layers:
            while layer.ram_bytes(bits) > limit and _may_cut_output(problem, layer, bits):
                bits[layer.y] = problem.choices[layer.y].below(bits[layer.y])
        for layer in reversed(layers):
            while layer.ram_bytes(bits) > limit and _may_cut_input(problem, layer, bits):
                bits[layer.x] = problem.choices[layer.x].below(bits[layer.x])
        if tuple(bits) == before:
            return False
    return True


def _may_cut_output(problem: Problem, layer: Layer, bits: Sequence[int]) -> bool:
    memory_in, memory_out = layer.memory(bits)
    q_in, q_out = bits[layer.x], bits[layer.y]
    is_its_turn = q_out > q_in or (q_out == q_in and not memory_in > memory_out)
    return is_its_turn and problem.choices[layer.y].below(q_out) is not None


def _may_cut_input(problem: Problem, layer: Layer, bits: Sequence[int]) -> bool:
    memory_in, memory_out = layer.memory(bits)
    q_in, q_out = bits[layer.x], bits[layer.y]
    is_its_turn = q_in > q_out or (q_in == q_out and memory_in > memory_out)
    return is_its_turn and problem.choices[layer.x].below(q_in) is not None


def cut_weights(problem: Problem, layers: Sequence[Layer], limit: int, bits: list[int]) -> None:
    """Halve weights until the ROM rule holds and the exact flash is within its limit too, or none is left to halve."""
    weights = list(dict.fromkeys(layer.weights for layer in layers))
    while rom_bytes(problem, layers, bits) > limit or problem.flash_bytes(bits) > limit:
        sizes = {index: problem.choices[index].elements * bits[index] for index in weights}
        free = [index for index in weights if problem.choices[index].below(bits[index]) is not None]
        if not free:
            return
        index = _first_of_the_heaviest(sizes, free)
        bits[index] = problem.choices[index].below(bits[index])


def _first_of_the_heaviest(sizes: dict[int, float], free: Sequence[int]) -> int:
    """The first of ``free`` whose share of all is within ``SHARE`` of the largest among them."""
    total = sum(sizes.values())
    largest = max(sizes[index] for index in free)
    return next(index for index in free if sizes[index] > largest - SHARE * total or sizes[index] == largest)


def _cut_neighbours(problem: Problem, bits: list[int]) -> None:
    """While the exact RAM is beyond its limit, halve the largest map that is in memory at the worst moment."""
    limit = problem.budgets.ram_bytes
    while limit is not None and ram_reached(problem, bits) > limit:
        by_size = sorted(problem.neighbours, key=lambda each: -each.bytes(bits))
        cut = next(filter(None, (_largest(problem, each, bits) for each in by_size)), None)
        if cut is None:
            return
        bits[cut[0]] = cut[1]


def _largest(problem: Problem, together: Neighbours, bits: Sequence[int]) -> tuple[int, int] | None:
    """(choice, width) of the largest map that takes fewer bytes in a narrower width; the last of equals."""
    best: tuple[int, int, int] | None = None
    for index in sorted({block.choice for block in together.blocks}):
        own = [block for block in together.blocks if block.choice == index]
        size = sum(block.bytes(bits[index]) for block in own)
        narrower = [width for width in problem.choices[index].widths if width < bits[index]]
        width = next((width for width in narrower if sum(block.bytes(width) for block in own) < size), None)
        if width is not None and (best is None or size >= best[0]):
            best = (size, index, width)
    return best[1:] if best else None


def _cut_cost(problem: Problem, layers: Sequence[Layer], cost: CostFunction, limit: float, bits: list[int]) -> None:
    """Until the cost is within its limit, the first of the most costly layers halves the wider of weights and input."""
    while problem.total(cost, bits) > limit:
        costs = {index: problem.cost_of(layer.work, cost, bits) for index, layer in enumerate(layers)}
        free = [index for index, layer in enumerate(layers) if _wider(problem, layer, bits) is not None]
        if not free:
            return
        index = _wider(problem, layers[_first_of_the_heaviest(costs, free)], bits)
        bits[index] = problem.choices[index].below(bits[index])


def _wider(problem: Problem, layer: Layer, bits: Sequence[int]) -> int | None:
    """The wider of weights and input that may go down, weights of equals."""
    free = [index for index in (layer.weights, layer.x) if problem.choices[index].below(bits[index]) is not None]
    return max(free, key=lambda index: bits[index], default=None)
