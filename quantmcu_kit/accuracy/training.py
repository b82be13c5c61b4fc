"""Block reconstruction: each block of the quantized network is trained to give what the float block gives, on inputs
that come from the blocks before it as they are then (BRECQ, Li et al. 2021, with straight-through rounding).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from quantmcu_kit.accuracy.blocks import Block
from quantmcu_kit.accuracy.cache import Cache
from quantmcu_kit.accuracy.forward import can_train, run_float
from quantmcu_kit.accuracy.settings import Settings
from quantmcu_kit.accuracy.start import BlockReport, Progress, Reconstruction
from quantmcu_kit.accuracy.trainable import QuantizedNodes
from quantmcu_kit.accuracy.workers import Workers, most_at_once, workers
from quantmcu_kit.ir.graph import Graph, Node
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.quantize import Equalized
from quantmcu_kit.quantize.adjust import Adjustments
from quantmcu_kit.quantize.ties import tie_groups

Distance = Callable[[Tensor, Tensor], Tensor]  # (outputs, wanted), both [n, values], -> [n]
_PROGRESS = 100  # parts of a block that progress tells of
_FORWARD_SHARE = 0.1  # of the time of a block: all pictures pass through it a few times besides training
_LAST_SHARE = 0.25  # of time and iterations: of the second phase
_CHECK_EVERY = 25  # iterations
_WORSE = 1.02  # by so much is more than chance
_LEAST_VARIANCE = 1e-12  # of a map that is constant


def train_blocks(
    equalized: Equalized,
    graph: Graph,
    integer: Graph,
    inputs: np.ndarray,
    blocks: Sequence[Block],
    distance: Distance,
    settings: Settings,
    progress: Progress,
    real: np.ndarray | None = None,
) -> Reconstruction:
    """Train consecutive blocks of the network, from its input on.

    Args:
        equalized: the float network that ``integer`` quantizes, made of ``graph``.
        distance: how far outputs are from wanted ones.
        real: what ``graph`` takes, where that is not what ``inputs`` stand for.
    """
    with workers() as team:
        return _train_blocks(equalized, graph, integer, inputs, blocks, distance, settings, progress, real, team)


def _train_blocks(
    equalized: Equalized,
    graph: Graph,
    integer: Graph,
    inputs: np.ndarray,
    blocks: Sequence[Block],
    distance: Distance,
    settings: Settings,
    progress: Progress,
    real: np.ndarray | None,
    team: Workers,
) -> Reconstruction:
    floats = {node.name: node for node in graph.nodes}
    bits = {tensor.name: tensor.dtype.bits for tensor in integer.feature_maps()}
    ties = tie_groups(integer, bits)
    seen = integer.tensors[integer.inputs[0].tensor].quant.dequantize(inputs)
    given = torch.from_numpy(np.ascontiguousarray(seen))
    wanted = given if real is None else torch.from_numpy(np.ascontiguousarray(real))
    cache = Cache.of(settings, (equalized.graph, integer), (inputs,) if real is None else (inputs, real))
    clock = _Clock(settings.seconds, blocks)
    total, reports = Adjustments(), []
    for index, block in enumerate(blocks):

        def tell(part: float, index: int = index) -> None:
            progress(settings.stage, round(_PROGRESS * (index + part)), _PROGRESS * len(blocks))

        tell(0.0)
        wanted = _forward_float(graph, [floats[node.name] for node in block.nodes], block, wanted, team)
        factors = equalized.factors.get(block.output)
        target = wanted if factors is None else wanted * torch.from_numpy(factors)
        nodes = QuantizedNodes(equalized.graph, integer, block.nodes, ties)
        trainer = _Trainer(block, nodes, given, target, distance, settings, team, tell)
        known = cache.load(block)
        if known is not None:
            report = trainer.restore(known)
        else:
            report = trainer.train(clock.seconds_for(index))
            cache.store(block, trainer.saved(), report)
        reports.append(report)
        total = total | nodes.adjustments()
        if index + 1 < len(blocks):
            given = trainer.outputs()
    progress(settings.stage, _PROGRESS * len(blocks), _PROGRESS * len(blocks))
    return Reconstruction(total, tuple(reports))


def squared(y: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared error of each picture, in variances of what is wanted."""
    return (y - wanted).square().mean(dim=1) / wanted.var(correction=0).clamp(min=_LEAST_VARIANCE)


def divergence(y: Tensor, wanted: Tensor) -> Tensor:
    """KL divergence of each picture's classes in nats, from logits."""
    p, q = torch.log_softmax(wanted, dim=1), torch.log_softmax(y, dim=1)
    return (p.exp() * (p - q)).sum(dim=1)


class _Clock:
    """Divides the time that is left among the blocks that are left, by their multiply-accumulates."""

    def __init__(self, seconds: float, blocks: Sequence[Block]) -> None:
        self._end = time.monotonic() + seconds
        self._macs = [block.macs for block in blocks]

    def seconds_for(self, index: int) -> float:
        left = self._end - time.monotonic()
        return max(0.0, left) * self._macs[index] / max(1, sum(self._macs[index:]))


class _Trainer:
    """One block: its inputs and wanted outputs on all pictures, some of which are held out.

    Args:
        nodes: trained in place.
        tell: is told how far training is, from 0 to 1.
        given: inputs [n, ...], from the quantized blocks before.
        target: outputs [n, ...] of the float block.
    """

    def __init__(
        self,
        block: Block,
        nodes: QuantizedNodes,
        given: Tensor,
        target: Tensor,
        distance: Distance,
        settings: Settings,
        team: Workers,
        tell: Callable[[float], None] = lambda part: None,
    ) -> None:
        self._tell = tell
        self._block, self._nodes, self._given, self._target = block, nodes, given, target
        self._distance, self._settings, self._team = distance, settings, team
        positions = torch.arange(len(given))
        is_held_out = positions % settings.held_out == settings.held_out - 1
        self._held_out = positions[is_held_out] if is_held_out.any() else positions
        self._trained_on = positions[~is_held_out] if is_held_out.any() else positions

    def train(self, seconds: float) -> BlockReport:
        """Train for a time, and keep what was best on held-out pictures: what was there before, if nothing was better.

        First weights and scales, then scales and biases alone, as the integers' last moves leave those behind.
        """
        before = self._error()
        is_trained = bool(self._nodes.layers) and not self._block.has_other_ends
        if not is_trained or not all(map(can_train, self._block.nodes)):
            return BlockReport(self._block.output, 0, before, before)
        settings, layers = self._settings, self._nodes.layers.values()
        latent = [{"params": [layer.latent], "lr": settings.rate * layer.levels} for layer in layers]
        is_latent = {id(layer.latent) for layer in layers}
        rest = [tensor for tensor in self._nodes.state if id(tensor) not in is_latent]
        scales = {"params": rest, "lr": settings.scale_rate}
        seconds *= 1 - _FORWARD_SHARE
        most = settings.most_iterations
        last = round(most * _LAST_SHARE)
        first, after = self._phase([*latent, scales], before, seconds * (1 - _LAST_SHARE), most - last)
        second, after = self._phase([scales], after, seconds * _LAST_SHARE, last)
        return BlockReport(self._block.output, first + second, before, after)

    def _phase(self, groups: list[dict], best: float, seconds: float, most: int) -> tuple[int, float]:
        """Adam with a rate that falls to zero as time or iterations run out. Where held-out pictures get worse, back to
        the best there was, with half the rate.

        Args:
            best: error as it is.

        Returns:
            Iterations, and the error of what is kept.
        """
        state = [tensor for group in groups for tensor in group["params"]]
        optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99))
        rates = [group["lr"] for group in optimizer.param_groups]
        kept, start, done, factor = self.saved(), time.monotonic(), 0, 1.0
        batches = self._batches()
        has_latent = len(groups) > 1
        every = max(1, min(_CHECK_EVERY, most // 4))
        while True:
            part = max((time.monotonic() - start) / max(seconds, 1e-9), done / max(1, most))
            if done % every == 0 or part >= 1:
                error = self._error() if done else best
                if error < best:
                    best, kept = error, self.saved()
                elif done and error > best * _WORSE or part >= 1:
                    self._load(kept)
                    factor *= 0.5
                    optimizer.state.clear()
            if part >= 1:
                return done, best
            if done % every == 0:
                self._tell(part * (1 - _LAST_SHARE) if has_latent else 1 - _LAST_SHARE * (1 - part))
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor * 0.5 * (1 + np.cos(np.pi * part))
            self._set_gradients(next(batches), state)
            optimizer.step()
            self._nodes.clamp()
            done += 1

    def _batches(self) -> Iterator[Tensor]:
        """Pictures in an order that the seed says, without end."""
        generator = torch.Generator().manual_seed(self._settings.seed)
        while True:
            order = self._trained_on[torch.randperm(len(self._trained_on), generator=generator)]
            yield from order.split(self._settings.batch)

    def _set_gradients(self, batch: Tensor, state: Sequence[Tensor]) -> None:
        """Of the mean loss of a batch."""

        def gradients(positions: Tensor) -> Sequence[Tensor]:
            return torch.autograd.grad(self._loss(positions, is_exact=False) / len(batch), state)

        parts = self._team.over_batch(gradients, batch, most_at_once(self._block.values))
        for tensor, *of_parts in zip(state, *parts, strict=True):
            tensor.grad = torch.nan_to_num(sum(of_parts[1:], start=of_parts[0]), posinf=0.0, neginf=0.0)

    def _loss(self, positions: Tensor, *, is_exact: bool) -> Tensor:
        """Summed over pictures."""
        wanted = self._target[positions]
        y = self._nodes.run({self._block.source: self._given[positions]}, self._block.output, is_exact=is_exact)
        return self._distance(y.flatten(1), wanted.flatten(1)).sum()

    def _error(self) -> float:
        @torch.no_grad()
        def error(positions: Tensor) -> float:
            return float(self._loss(positions, is_exact=True))

        return sum(self._team.over_all(error, self._held_out)) / len(self._held_out)

    def outputs(self) -> Tensor:
        """The block's output on all pictures."""

        @torch.no_grad()
        def run(positions: Tensor) -> Tensor:
            return self._nodes.run({self._block.source: self._given[positions]}, self._block.output, is_exact=True)

        return torch.cat(self._team.over_all(run, torch.arange(len(self._given))))

    def saved(self) -> list[np.ndarray]:
        """A copy of what is trained."""
        return [tensor.detach().numpy().copy() for tensor in self._nodes.state]

    def restore(self, known: tuple[list[np.ndarray], BlockReport]) -> BlockReport:
        """Take what was trained earlier."""
        state, report = known
        self._load(state)
        return report

    def _load(self, state: Iterable[np.ndarray]) -> None:
        with torch.no_grad():
            for tensor, values in zip(self._nodes.state, state, strict=True):
                tensor.copy_(torch.from_numpy(values))


def _forward_float(graph: Graph, nodes: Sequence[Node], block: Block, x: Tensor, team: Workers) -> Tensor:
    """A block of the float network on all pictures."""
    constants = {
        name: torch.from_numpy(graph.tensors[name].data.copy())
        for node in nodes
        for name in node.inputs
        if name is not None and graph.tensors[name].is_constant
    }

    @torch.no_grad()
    def run(positions: Tensor) -> Tensor:
        values: dict[str | None, Tensor | None] = {None: None, **constants, block.source: x[positions]}
        for node in nodes:
            inputs = [values[name] for name in node.inputs]
            if TABLE[node.op].weight_axis is not None and len(inputs) > 2 and inputs[2] is not None:
                inputs[2] = inputs[2].reshape(-1)
            values[node.output] = run_float(node, *inputs)
        return values[block.output]

    return torch.cat(team.over_all(run, torch.arange(len(x))))
