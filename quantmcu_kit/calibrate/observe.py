"""Run the float model on the user's pictures and gather statistics of every feature map."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from queue import Queue

import numpy as np

from quantmcu_kit.calibrate.accumulate import Accumulator, NotFiniteError
from quantmcu_kit.calibrate.dataset import Batch, Dataset, Skipped
from quantmcu_kit.calibrate.inputs import real_inputs, runtime_inputs
from quantmcu_kit.calibrate.moments import gather_moments
from quantmcu_kit.calibrate.runtime import FloatReference
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.contract import Preprocess
from quantmcu_kit.ir.graph import Graph, Tensor
from quantmcu_kit.ir.plans import Calibration

Progress = Callable[[str, int, int], None]

_WORKERS = min(4, os.cpu_count() or 1)  # child processes, each with one thread
_BATCH = 4  # pictures sent to a child process at a time
MOMENT_PICTURES = 64  # the moments of a layer settle with far fewer pictures than its extremes
_NAMED = 3  # skipped pictures named in the warning


def observe(
    model: bytes,
    graph: Graph,
    dataset: Dataset,
    preprocess: Preprocess | None,
    *,
    limit: int,
    progress: Progress,
) -> tuple[Calibration, tuple[str, ...]]:
    """Statistics of every feature map of a float ``graph``, and warnings for the user.

    Args:
        model: the .tflite file that ``graph`` was imported from.
        limit: most pictures used.
    Raises:
        QmkitError: ``not-finite`` when a feature map becomes NaN or infinite, and what dataset and runtime raise.
    """
    wanted = _observable(graph)
    indices = [tensor.source for tensor in wanted]
    merged = [Accumulator() for _ in wanted]
    total = min(limit, len(dataset))
    skipped: list[Skipped] = []
    pictures = 0
    with ExitStack() as stack:
        workers = [stack.enter_context(FloatReference(model)) for _ in range(min(_WORKERS, total))]
        idle: Queue[FloatReference] = Queue()
        for worker in workers:
            idle.put(worker)
        pool = stack.enter_context(ThreadPoolExecutor(len(workers)))

        def feed(batch: Batch) -> tuple[Batch, list[Accumulator]]:
            worker = idle.get()
            try:
                return batch, worker.observe([runtime_inputs(graph, batch.data, preprocess)], indices)
            except NotFiniteError as error:
                raise _not_finite(next(tensor for tensor in wanted if tensor.source == error.index)) from None
            finally:
                idle.put(worker)

        # Merged in the order of the pictures, so that sums do not depend on which process was faster.
        for batch, seen in _in_order(pool, feed, dataset.batches(_BATCH, limit=limit), ahead=2 * len(workers)):
            skipped += batch.skipped
            pictures += len(batch.data)
            for accumulator, part in zip(merged, seen, strict=True):
                accumulator.merge(part)
            progress("calibrate", pictures, total)
    stats = {tensor.name: accumulator.stats() for tensor, accumulator in zip(wanted, merged, strict=True)}
    moments = gather_moments(graph, _moment_inputs(graph, dataset, preprocess, min(limit, MOMENT_PICTURES), progress))
    return Calibration(stats, moments, pictures), _warnings(skipped)


def _moment_inputs(
    graph: Graph, dataset: Dataset, preprocess: Preprocess | None, limit: int, progress: Progress
) -> Iterator[np.ndarray]:
    """Real inputs of a part of the pictures, in the graph's layout."""
    done = 0
    for batch in dataset.batches(_BATCH, limit=limit):
        done += len(batch.data)
        progress("moments", done, min(limit, len(dataset)))
        yield real_inputs(graph, batch.data, preprocess)


def _in_order(pool: ThreadPoolExecutor, call: Callable, batches: Iterator[Batch], ahead: int) -> Iterator:
    """What ``call`` makes of each batch, in order; at most ``ahead`` batches are decoded before they are asked for."""
    waiting: deque[Future] = deque()
    for batch in batches:
        waiting.append(pool.submit(call, batch))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _observable(graph: Graph) -> list[Tensor]:
    """Feature maps that stand in the model file too; every map of a cleaned float graph does."""
    maps = [tensor for tensor in graph.feature_maps() if tensor.dtype.is_float]
    assert all(tensor.source is not None for tensor in maps), "passes keep a source for each float feature map"
    return maps


def _not_finite(tensor: Tensor) -> QmkitError:
    return QmkitError(
        "not-finite",
        f"feature map {tensor.name!r} becomes NaN or infinite on a calibration picture",
        why="no range can be chosen for it",
        hint="check --preprocess, and whether the model gives sensible results in the TFLite runtime",
    )


def _warnings(skipped: list[Skipped]) -> tuple[str, ...]:
    if not skipped:
        return ()
    named = "; ".join(f"{item.name}: {item.reason}" for item in skipped[:_NAMED])
    more = f"; and {len(skipped) - _NAMED} more" if len(skipped) > _NAMED else ""
    return (f"{len(skipped)} picture{'s' if len(skipped) > 1 else ''} skipped ({named}{more})",)
