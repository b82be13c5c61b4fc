"""Pictures divided among Python threads, each with one thread of torch.

Torch would divide every operator instead: its threads then wait for one another at each of them, which costs more than
it saves on small maps, and many times as much where other programs take a core.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch
from torch import Tensor

_MOST = 8
_PICTURES = 16  # that pass through a block together: more do not fit the cache
_MOST_BYTES = 1 << 28  # of memory for the maps of a part of a batch
_BYTES_PER_VALUE = 16  # a float32 map is kept about four times for its gradient

Call = Callable[[Tensor], object]


def most_at_once(values: int) -> int:
    """Pictures of a batch that gradients are computed for together.

    Args:
        values: elements of all maps that are written, per picture.
    """
    return max(1, _MOST_BYTES // (_BYTES_PER_VALUE * values))


class Workers:
    """Threads; made by :func:`workers`."""

    def __init__(self, pool: ThreadPoolExecutor, count: int) -> None:
        self._pool, self.count = pool, count

    def over_batch(self, call: Call, positions: Tensor, most: int) -> list:
        """Results of ``call`` for the parts of one batch, in order; a part has at most ``most`` pictures."""
        return self._run(call, positions.split(min(most, -(-len(positions) // self.count))))

    def over_all(self, call: Call, positions: Tensor) -> list:
        """Results of ``call`` for all pictures, some at a time, in order."""
        return self._run(call, positions.split(_PICTURES))

    def _run(self, call: Call, parts: Sequence[Tensor]) -> list:
        return list(self._pool.map(call, parts)) if len(parts) > 1 else [call(part) for part in parts]


@contextmanager
def workers() -> Iterator[Workers]:
    """As many as there are cores."""
    count = min(_MOST, os.cpu_count() or 1)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield Workers(pool, count)
    finally:
        torch.set_num_threads(before)
