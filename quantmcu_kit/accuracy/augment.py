"""Views of pictures: crops of many sizes, some of them mirrored, and some with another one pasted or blended in. What
the float network sees in a view, the quantized network is to see in it too: views need no labels either, and there is
no end of mixtures that few pictures make (Beyer et al. 2022)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

_LEAST_AREA = 0.35  # of a picture that a crop shows
_MOST_ASPECT = 4 / 3  # of a crop to the picture's own
_MIRRORED = 0.5
_PASTED, _BLENDED = 0.35, 0.15  # shares of pictures
_MOST_OF_OTHER = 0.5  # of what is seen


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


def mixed(pictures: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Pictures of which some have a part of the one before pasted in at its place, or all of it blended in.

    Args:
        pictures: uint8 [n, h, w, c].
    """
    height, width = pictures.shape[1:3]
    found, kinds = pictures.copy(), generator.random(len(pictures))
    for picture, other, kind in zip(found, np.roll(pictures, 1, axis=0), kinds, strict=True):
        share = generator.uniform(0, _MOST_OF_OTHER)
        if kind < _PASTED:
            h, w = round(np.sqrt(share) * height), round(np.sqrt(share) * width)
            top, left = generator.integers(height - h + 1), generator.integers(width - w + 1)
            part = slice(top, top + h), slice(left, left + w)
            picture[part] = other[part]
        elif kind < _PASTED + _BLENDED:
            picture[:] = np.rint((1 - share) * picture + share * other)
    return found


def _resized(picture: Tensor, height: int, width: int) -> Tensor:
    """uint8 [height, width, c] of a float picture [h, w, c]."""
    first = picture.permute(2, 0, 1)[None]
    found = functional.interpolate(first, (height, width), mode="bilinear", antialias=True)
    return found[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8)
