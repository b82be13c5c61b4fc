"""What may be asked of a reconstruction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Options of :func:`reconstruct` and :func:`distil`.

    Attributes:
        seconds: for all blocks together; each gets a share by its multiply-accumulates.
        blocks_share: of the time that :func:`refine.refine` gives to blocks; the whole network gets the rest.
        most_iterations: of a block, where time would allow more: with few pictures more would only overfit.
        batch: pictures per iteration.
        held_out: one picture in this many is not trained on, and judges.
        rate: of Adam: of weights, as a share of the largest integer of their width.
        scale_rate: of Adam: of the logarithm of scales, and of biases in steps of the output.
        seed: of the order of pictures.
        stage: what progress calls it.
        cache: folder in which finished blocks are kept; None keeps none.
    """

    seconds: float = 300.0
    blocks_share: float = 0.25
    most_iterations: int = 400
    batch: int = 32
    held_out: int = 8
    rate: float = 0.001
    scale_rate: float = 0.001
    seed: int = 0
    stage: str = "reconstruct"
    cache: Path | None = None


@dataclass(frozen=True)
class TuneSettings:
    """Options of :func:`tune`.

    Attributes:
        seconds: how long, where ``epochs`` is None: the first batches tell how many iterations that makes.
        epochs: how often each picture is trained on.
        batch: pictures per iteration.
        rate, scale_rate: as for :class:`Settings`.
        features: weight of the maps between blocks, as against 1 for the output.
        seed: of the order of pictures, and of their views.
        stage: what progress calls it.
        cache: folder in which the position is kept; None keeps none.
    """

    seconds: float = 1200.0
    epochs: float | None = None
    batch: int = 32
    rate: float = 0.0005
    scale_rate: float = 0.001
    features: float = 3.0
    seed: int = 0
    stage: str = "tune"
    cache: Path | None = None
