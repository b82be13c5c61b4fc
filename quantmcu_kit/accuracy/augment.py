"""Views of pictures: crops of many sizes, some of them mirrored. What the float network sees in a view, the quantized
network is to see in it too: views need no labels either."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

_LEAST_AREA = 0.35  # of a picture that a crop shows
_MOST_ASPECT = 4 / 3  # of a crop to the picture's own
_MIRRORED = 0.5


@dataclass(frozen=True)
class Views:
    """How views are made.

    Attributes:
        shape: of what the network takes, without the batch axis.
        are_pictures: samples of any other kind stay as they are.
    """

    shape: tuple[int, ...]
    are_pictures: bool

    def of(self, pictures: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """A view of each picture, in the network's shape and the pictures' type.

        Args:
            pictures: uint8 [n, h, w, c], of any size; other samples have the network's shape.
        """
        if not self.are_pictures:
            return pictures
        pictures = np.stack([self._cropped(picture, generator) for picture in pictures])
        turned = generator.random(len(pictures)) < _MIRRORED
        return np.where(turned[:, None, None, None], pictures[:, :, ::-1], pictures)

    def _cropped(self, picture: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        height, width = picture.shape[:2]
        area = generator.uniform(_LEAST_AREA, 1.0)
        stretch = np.exp(generator.uniform(-1, 1) * np.log(_MOST_ASPECT) / 2)
        h, w = (max(1, round(min(1.0, share) * size)) for share, size in self._sides(area, stretch, height, width))
        top, left = generator.integers(height - h + 1), generator.integers(width - w + 1)
        part = torch.from_numpy(picture[top : top + h, left : left + w].astype(np.float32))
        return _resized(part, self.shape[0], self.shape[1]).numpy()

    @staticmethod
    def _sides(area: float, stretch: float, height: int, width: int) -> tuple[tuple[float, int], tuple[float, int]]:
        side = np.sqrt(area)
        return (side * stretch, height), (side / stretch, width)


def _resized(picture: Tensor, height: int, width: int) -> Tensor:
    """uint8 [height, width, c] of a float picture [h, w, c]."""
    first = picture.permute(2, 0, 1)[None]
    found = functional.interpolate(first, (height, width), mode="bilinear", antialias=True)
    return found[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8)
