"""Class maps: the branch class of each patch, as data and drawn over a picture."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.search.vdpc import MIXED, OUTLIER, even_intervals

_OUTLIER_TINT, _MIXED_TINT = (214, 39, 40), (44, 160, 44)  # red, green
_OPACITY = 0.35
_LEAST_SIDE = 256  # pixels of the drawing's shorter side, at least


@dataclass(frozen=True, eq=False)
class ClassMap:
    """Which patches are of class ``outlier``: bool [rows, columns]."""

    is_outlier: np.ndarray

    def __post_init__(self) -> None:
        if self.is_outlier.ndim != 2 or not self.is_outlier.size or self.is_outlier.dtype != bool:
            raise QmkitError(
                "bad-shape", f"{list(self.is_outlier.shape)} is no class map", why="it is one bool per row and column"
            )

    @property
    def outliers(self) -> int:
        """How many patches are of class ``outlier``."""
        return int(self.is_outlier.sum())

    @property
    def is_uniform(self) -> bool:
        """Whether all patches are of one class: there is nothing to tell apart."""
        return self.outliers in (0, self.is_outlier.size)

    def to_json(self) -> list[dict[str, object]]:
        """As data, row by row."""
        return [
            {"row": row, "col": column, "class": OUTLIER if value else MIXED}
            for (row, column), value in zip(np.ndindex(self.is_outlier.shape), self.is_outlier.flat, strict=True)
        ]


def draw(class_map: ClassMap, picture: np.ndarray) -> bytes:
    """A PNG: the picture with outlier patches tinted red, all others green, and lines between them.

    Small pictures are enlarged by a whole factor. Same inputs, same pixels.

    Args:
        picture: uint8 [h, w], [h, w, 1] or [h, w, 3], at least one pixel per patch.
    """
    rows, columns = class_map.is_outlier.shape
    gray = picture[..., 0] if picture.ndim == 3 and picture.shape[2] == 1 else picture
    is_picture = gray.dtype == np.uint8 and (gray.ndim == 2 or (gray.ndim == 3 and gray.shape[2] == 3))
    if not is_picture or gray.shape[0] < rows or gray.shape[1] < columns:
        raise QmkitError(
            "bad-picture",
            f"a class map of {rows}x{columns} patches cannot be drawn over {gray.dtype} {list(picture.shape)}",
            why="the picture is uint8 [h, w] or [h, w, 3] with at least one pixel per patch",
        )
    factor = max(1, -(-_LEAST_SIDE // min(gray.shape[:2])))
    enlarged = gray.repeat(factor, axis=0).repeat(factor, axis=1)
    pixels = (np.stack([enlarged] * 3, axis=2) if enlarged.ndim == 2 else enlarged).astype(np.float64)
    height, width = pixels.shape[:2]
    down, across = even_intervals(height, rows), even_intervals(width, columns)
    for (row, column), is_outlier in zip(np.ndindex(rows, columns), class_map.is_outlier.flat, strict=True):
        part = pixels[down[row].start : down[row].end, across[column].start : across[column].end]
        part += _OPACITY * (np.array(_OUTLIER_TINT if is_outlier else _MIXED_TINT) - part)
    image = Image.fromarray(np.rint(pixels).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for interval in down[1:]:
        pen.line([(0, interval.start), (width - 1, interval.start)], fill=(255, 255, 255))
    for interval in across[1:]:
        pen.line([(interval.start, 0), (interval.start, height - 1)], fill=(255, 255, 255))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
