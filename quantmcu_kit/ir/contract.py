"""The model contract beyond the graph: how pixels become numbers, and what was seen to come out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantmcu_kit.ir.types import Quant


@dataclass(frozen=True)
class Preprocess:
    """Input normalisation real = (pixel − mean) / std, pixel in 0..255, per channel.

    Attributes:
        name: ``pm1``, ``01``, ``imagenet``, ``raw`` or ``custom``.
        mean, std: one value for all channels, or one per channel.
        origin: how it was found, a sentence for the user ("--preprocess pm1", "derived from the input's quantization").
    """

    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    origin: str

    def normalise(self, pixels: np.ndarray) -> np.ndarray:
        """float32 [..., channels] of uint8 pixels [..., channels]."""
        return (pixels.astype(np.float32) - np.float32(self.mean)) / np.float32(self.std)

    def table(self, quant: Quant, channels: int) -> np.ndarray:
        """int8 [channels, 256]: the network's quantized input value for each pixel value."""
        pixels = np.repeat(np.arange(256, dtype=np.uint8)[:, None], channels, axis=1)
        return quant.quantize(self.normalise(pixels), -128, 127).astype(np.int8).T.copy()


@dataclass(frozen=True, eq=False)
class Golden:
    """One input and its exact output: int8 arrays [1, ...] in the order of the graph's ports."""

    inputs: tuple[np.ndarray, ...]
    outputs: tuple[np.ndarray, ...]
