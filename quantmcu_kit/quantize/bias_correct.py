"""Bias correction: rounded weights shift each channel's mean; the bias takes the shift back.

E[y_q − y] = Σ (w_q − w)·E[x], with the mean input per channel from calibration (Nagel et al. 2019, section 4.2, with
measured instead of derived means). No further run of the network is needed.
"""

from __future__ import annotations

import numpy as np


def mean_shift(error: np.ndarray, channel_mean: np.ndarray, op: str) -> np.ndarray:
    """Mean shift of each output channel, float64.

    Args:
        error: rounded minus real weights, in the layout of the op's weights.
        channel_mean: mean of the op's input per channel; padding is taken to have the same mean.
        op: ``CONV_2D``, ``DEPTHWISE_CONV_2D`` or ``FULLY_CONNECTED``.
    """
    error = error.astype(np.float64)
    if op == "DEPTHWISE_CONV_2D":
        multiplier = error.shape[3] // len(channel_mean)
        return error.sum(axis=(0, 1, 2)) * np.repeat(channel_mean, multiplier)
    if op == "CONV_2D":
        return error.sum(axis=(1, 2)) @ channel_mean
    # A fully-connected layer may read a flattened map, whose channels repeat.
    return error.reshape(len(error), -1, len(channel_mean)).sum(axis=1) @ channel_mean
