"""Weighted ops as matrix products, for statistics and rounding: output = rows · columns, group by group.

A group is a set of output channels that read the same inputs: one for CONV_2D and FULLY_CONNECTED, one per input
channel for DEPTHWISE_CONV_2D.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from quantmcu_kit.ir.types import Size
from quantmcu_kit.ops.geometry import pad_map, windows


@dataclass(frozen=True)
class LinearForm:
    """The matrix form of an op.

    Attributes:
        columns: (attrs, x, weights, pick) -> float32 [groups, samples, k]: what the weights are multiplied with, at the
            output pixels ``pick(count)`` of each picture.
        rows: (weights, groups) -> [groups, outputs per group, k].
        weights: ([groups, outputs per group, k], shape) -> weights; undoes ``rows``.
    """

    columns: Callable[..., np.ndarray]
    rows: Callable[[np.ndarray, int], np.ndarray]
    weights: Callable[[np.ndarray, tuple[int, ...]], np.ndarray]


Pick = Callable[[int], np.ndarray]


def _windows_at(attrs: Any, x: np.ndarray, weights: np.ndarray, pick: Pick) -> np.ndarray:
    """Windows [n, picked, kernel_h · kernel_w, c] of a float map whose padding is zero."""
    view = windows(pad_map(x, attrs.padding, 0), Size(*weights.shape[1:3]), attrs.stride, attrs.dilation)
    out_h, out_w = view.shape[1:3]
    y, x_ = np.divmod(pick(out_h * out_w), out_w)
    picked = view[:, y, x_]
    return picked.reshape(*picked.shape[:2], -1, picked.shape[-1])


def _conv_columns(attrs: Any, x: np.ndarray, weights: np.ndarray, pick: Pick) -> np.ndarray:
    picked = _windows_at(attrs, x, weights, pick)
    return picked.reshape(1, -1, picked.shape[2] * picked.shape[3])


def _depthwise_columns(attrs: Any, x: np.ndarray, weights: np.ndarray, pick: Pick) -> np.ndarray:
    picked = _windows_at(attrs, x, weights, pick)
    return picked.transpose(3, 0, 1, 2).reshape(picked.shape[3], -1, picked.shape[2])


def _dense_columns(attrs: Any, x: np.ndarray, weights: np.ndarray, pick: Pick) -> np.ndarray:
    return x.reshape(1, -1, weights.shape[1])


def _depthwise_weights(rows: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return rows.transpose(2, 0, 1).reshape(shape)


def _depthwise_rows(weights: np.ndarray, groups: int) -> np.ndarray:
    return weights.reshape(-1, groups, weights.shape[3] // groups).transpose(1, 2, 0)


def _matrix_rows(weights: np.ndarray, groups: int) -> np.ndarray:
    return weights.reshape(groups, len(weights), -1)


def _matrix_weights(rows: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return rows.reshape(shape)


CONV = LinearForm(_conv_columns, _matrix_rows, _matrix_weights)
DEPTHWISE = LinearForm(_depthwise_columns, _depthwise_rows, _depthwise_weights)
DENSE = LinearForm(_dense_columns, _matrix_rows, _matrix_weights)
