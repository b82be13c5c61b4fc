"""Quantization-aware distillation: the whole quantized network is trained, end to end, to give what the float network
gives in views of pictures without labels. Rounding passes gradients on; ranges and scales are trained too (LSQ, Esser
et al. 2020); maps between blocks have to be alike as well, which tells each block what is expected of it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from quantmcu_kit.accuracy.augment import Views, mixed
from quantmcu_kit.accuracy.checkpoint import Checkpoints
from quantmcu_kit.accuracy.ends import Ends
from quantmcu_kit.accuracy.settings import TuneSettings
from quantmcu_kit.accuracy.start import Progress
from quantmcu_kit.accuracy.teacher import Teacher
from quantmcu_kit.accuracy.trainable import QuantizedNodes
from quantmcu_kit.accuracy.training import divergence, squared
from quantmcu_kit.accuracy.tune import Samples, Tuning
from quantmcu_kit.accuracy.workers import Workers, most_at_once, workers
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.quantize import Equalized
from quantmcu_kit.quantize.ties import tie_groups

_TIMED = 3  # batches whose time tells how many there will be
_WARM_UP = 0.03  # of all iterations: the rate grows
_CHECKS = 40  # of held-out pictures in all
_CHECK_SHARE = 0.1  # of the time, at most
_LEAST_BETWEEN = 10  # iterations between two checks
_MOST_GROWTH = 2.0  # of a gradient's norm, by its running mean
_MEMORY = 0.98  # of that mean
_WORSE = 3.0  # by so much is no chance: back to the best
_MOST_FAILURES = 5
_AVERAGED_SHARE, _MOST_AVERAGED = 0.08, 50  # of the iterations, about: whose mean may be kept
_BETAS = (0.9, 0.99)


@dataclass
class _Position:
    """Where training is: with the seed, all that the next iteration depends on beside tensors.

    Attributes:
        done, total: iterations.
        every: how many from check to check.
        factor: of the rates, halved by each failure.
        norm: running mean of the gradient's norm; 0 before the first, and no number where a gradient was none.
        failures: how often it had to go back.
        before, best: held-out loss.
    """

    done: int
    total: int
    every: int
    factor: float
    norm: float
    failures: int
    before: float
    best: float


def train(
    equalized: Equalized,
    graph: Graph,
    integer: Graph,
    samples: Samples,
    ends: Ends,
    settings: TuneSettings,
    progress: Progress,
) -> Tuning:
    """Train until iterations run out or somebody interrupts; what was best on held-out pictures is kept.

    Args:
        equalized: the float network that ``integer`` quantizes, made of ``graph``.
    """
    with workers() as team:
        return _Trainer(equalized, graph, integer, samples, ends, settings, progress, team).train()


class _Trainer:
    def __init__(
        self,
        equalized: Equalized,
        graph: Graph,
        integer: Graph,
        samples: Samples,
        ends: Ends,
        settings: TuneSettings,
        progress: Progress,
        team: Workers,
    ) -> None:
        self._samples, self._ends, self._settings = samples, ends, settings
        self._progress, self._team = progress, team
        source = integer.inputs[0].tensor
        self._source, self._quant = source, integer.tensors[source].quant
        bits = {tensor.name: tensor.dtype.bits for tensor in integer.feature_maps()}
        last = max(index for index, node in enumerate(integer.nodes) if node.output in ends.all)
        run, ties = integer.nodes[: last + 1], tie_groups(integer, bits)
        self._nodes = QuantizedNodes(equalized.graph, integer, run, ties, is_settled=True)
        self._teacher = Teacher(graph, ends.all)
        self._factors = {
            name: torch.from_numpy(equalized.factors[name]) for name in ends.all if name in equalized.factors
        }
        self._most = most_at_once(sum(integer.tensors[node.output].elements for node in integer.nodes))
        self._views = Views(samples.shape, samples.are_pictures)
        self._held_out = self._real(samples.held_out)
        self._wanted = self._teacher_on(self._held_out)
        self._checkpoints = Checkpoints.of(
            settings, (equalized.graph, integer), (samples.pictures, samples.encode(samples.held_out))
        )
        layers = self._nodes.layers.values()
        is_latent = {id(layer.latent) for layer in layers}
        scales = [tensor for tensor in self._nodes.state if id(tensor) not in is_latent]
        latent = [{"params": [layer.latent], "lr": settings.rate * layer.levels} for layer in layers]
        self._optimizer = torch.optim.Adam([*latent, {"params": scales, "lr": settings.scale_rate}], betas=_BETAS)
        self._rates = [group["lr"] for group in self._optimizer.param_groups]
        self._state = [tensor for group in self._optimizer.param_groups for tensor in group["params"]]
        # While rates are high, weights swing about what they come to in the end: their running mean is what is judged.
        self._average = self._saved()

    def train(self) -> Tuning:
        at, kept = self._begin()
        is_interrupted = False
        try:
            while at.done < at.total and at.failures <= _MOST_FAILURES:
                self._step(at)
                if at.done % at.every == 0 or at.done == at.total or not math.isfinite(at.norm):
                    kept = self._judge(at, kept)
                    self._checkpoints.store(vars(at), self._saved(), self._average, kept, self._optimizer.state_dict())
                self._progress(self._settings.stage, at.done, at.total)
        except KeyboardInterrupt:
            is_interrupted = True
        self._load(kept)
        return Tuning(
            self._nodes.adjustments(),
            at.before,
            at.best,
            self._ends.are_classes,
            at.done,
            at.total,
            len(self._samples.pictures),
            is_interrupted,
        )

    def _begin(self) -> tuple[_Position, list[Tensor]]:
        known = self._checkpoints.load()
        if known is not None:
            position, state, self._average, kept, optimizer = known
            self._load(state)
            self._optimizer.load_state_dict(optimizer)
            return _Position(**position), kept
        started = time.monotonic()
        before = self._error()
        of_check = time.monotonic() - started
        settings, checks = self._settings, _CHECKS
        if settings.epochs is None:
            checks = min(checks, math.floor(_CHECK_SHARE * settings.seconds / of_check))
            total = math.floor((settings.seconds - checks * of_check) / self._seconds_of_one())
        else:
            total = math.ceil(settings.epochs * len(self._samples.pictures) / settings.batch)
        total = max(1, total)
        every = max(_LEAST_BETWEEN, math.ceil(total / max(1, checks)))
        return _Position(0, total, every, 1.0, 0.0, 0, before, before), self._saved()

    def _seconds_of_one(self) -> float:
        """That an iteration takes."""
        self._gradients(0)  # whatever happens but once
        started = time.monotonic()
        for iteration in range(_TIMED):
            self._gradients(iteration)
        return (time.monotonic() - started) / _TIMED

    def _step(self, at: _Position) -> None:
        """One iteration; ``at.norm`` is no number where the gradient is none."""
        rate = min((at.done + 1) / (_WARM_UP * at.total), 0.5 * (1 + math.cos(math.pi * at.done / at.total)))
        for group, full in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = full * at.factor * rate
        gradients = self._gradients(at.done)
        at.done += 1
        norm = math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients))
        if not math.isfinite(norm):
            at.norm = math.nan
            return
        most = _MOST_GROWTH * at.norm
        clipped = most / norm if at.norm and norm > most else 1.0
        at.norm = _MEMORY * at.norm + (1 - _MEMORY) * norm * clipped if at.norm else norm
        for tensor, gradient in zip(self._state, gradients, strict=True):
            tensor.grad = gradient * clipped
        self._optimizer.step()
        self._nodes.clamp()
        averaged = min(_MOST_AVERAGED, _AVERAGED_SHARE * at.total, at.done)
        with torch.no_grad():
            for mean, tensor in zip(self._average, self._state, strict=True):
                mean.lerp_(tensor, 1 / (1 + averaged))

    def _judge(self, at: _Position, kept: list[Tensor]) -> list[Tensor]:
        """Held-out pictures: keep a mean better than ever; from what is far worse go back, with half the rate."""
        state, average = self._saved(), _copies(self._average)
        self._load(average)
        error = self._error() if math.isfinite(at.norm) else math.inf
        self._load(state)
        if error < at.best:
            at.best = error
            return average
        if not error <= at.before * _WORSE:
            at.factor, at.norm, at.failures = at.factor / 2, 0.0, at.failures + 1
            self._load(kept)
            self._average = _copies(kept)
            self._optimizer.state.clear()
        return kept

    def _gradients(self, iteration: int) -> list[Tensor]:
        """Of the mean loss of an iteration's batch."""
        x = self._real(self._batch(iteration))

        def gradients(positions: Tensor) -> Sequence[Tensor]:
            part = x[positions]
            loss = self._loss(part, self._teacher.run(part), features=self._settings.features, is_exact=False)
            return torch.autograd.grad(loss.sum() / len(x), self._state, allow_unused=True, materialize_grads=True)

        parts = self._team.over_batch(gradients, torch.arange(len(x)), self._most)
        return [sum(of_parts[1:], start=of_parts[0]) for of_parts in zip(*parts, strict=True)]

    def _batch(self, iteration: int) -> np.ndarray:
        """Views of an iteration's pictures, which the seed says."""
        settings, pictures = self._settings, self._samples.pictures
        at = iteration * settings.batch
        places = range(at, at + min(settings.batch, len(pictures)))
        orders = {
            epoch: np.random.default_rng([settings.seed, epoch]).permutation(len(pictures))
            for epoch in {place // len(pictures) for place in places}
        }
        chosen = [orders[place // len(pictures)][place % len(pictures)] for place in places]
        generator = np.random.default_rng([settings.seed, iteration, 1])
        views = self._views.of(pictures[chosen], generator)
        return mixed(views, generator) if self._samples.are_pictures else views

    def _real(self, samples: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(self._quant.dequantize(self._samples.encode(samples))))

    def _teacher_on(self, x: Tensor) -> dict[str, Tensor]:
        parts = self._team.over_all(lambda positions: self._teacher.run(x[positions]), torch.arange(len(x)))
        return {name: torch.cat([part[name] for part in parts]) for name in self._ends.outputs}

    def _loss(self, x: Tensor, wanted: dict[str, Tensor], *, features: float, is_exact: bool) -> Tensor:
        """Of each input [n]."""
        found = self._nodes.run_all({self._source: x}, is_exact=is_exact)
        distance = divergence if self._ends.are_classes else squared
        loss = sum(distance(found[name].flatten(1), wanted[name].flatten(1)) for name in self._ends.outputs)
        if not features or not self._ends.features:
            return loss
        of_maps = [
            squared(found[name].flatten(1), (wanted[name] * self._factors.get(name, 1.0)).flatten(1))
            for name in self._ends.features
        ]
        return loss + features * sum(of_maps) / len(of_maps)

    def _error(self) -> float:
        """Mean loss of the outputs on held-out pictures."""

        @torch.no_grad()
        def error(positions: Tensor) -> float:
            wanted = {name: self._wanted[name][positions] for name in self._ends.outputs}
            return float(self._loss(self._held_out[positions], wanted, features=0.0, is_exact=True).sum())

        return sum(self._team.over_all(error, torch.arange(len(self._held_out)))) / len(self._held_out)

    def _saved(self) -> list[Tensor]:
        return _copies(self._state)

    def _load(self, state: Sequence[Tensor]) -> None:
        with torch.no_grad():
            for tensor, values in zip(self._state, state, strict=True):
                tensor.copy_(values)


def _copies(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in tensors]
