"""The operators in torch, without their fused activation: maps are [n, h, w, c] as everywhere, and differentiable.

Operators that are missing here are computed by their ``float_ref``: nothing can be trained through them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from quantmcu_kit.ir.graph import Node
from quantmcu_kit.ir.types import Activation, Padding
from quantmcu_kit.ops.table import TABLE


def _to_channels_first(x: Tensor) -> Tensor:
    """A view: torch calls its memory ``channels_last``."""
    return x.permute(0, 3, 1, 2)


def _to_channels_last(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1)


def _padded(x: Tensor, padding: Padding, value: float = 0.0) -> Tensor:
    """A channels-first map within ``value``."""
    if padding.is_zero:
        return x
    sides = (padding.left, padding.right, padding.top, padding.bottom)
    return functional.pad(x, sides, value=value)


def _convolve(attrs: Any, x: Tensor, weights: Tensor, bias: Tensor | None, groups: int) -> Tensor:
    """``weights`` as torch has them: [out, in / groups, kh, kw]."""
    padding = attrs.padding
    is_even = padding.top == padding.bottom and padding.left == padding.right
    x = _to_channels_first(x) if is_even else _padded(_to_channels_first(x), padding)
    result = functional.conv2d(
        x,
        weights.contiguous(memory_format=torch.channels_last),
        bias,
        stride=(attrs.stride.h, attrs.stride.w),
        padding=(padding.top, padding.left) if is_even else 0,
        dilation=(attrs.dilation.h, attrs.dilation.w),
        groups=groups,
    )
    return _to_channels_last(result)


def _conv(attrs: Any, x: Tensor, weights: Tensor, bias: Tensor | None = None) -> Tensor:
    return _convolve(attrs, x, weights.permute(0, 3, 1, 2), bias, 1)


def _depthwise(attrs: Any, x: Tensor, weights: Tensor, bias: Tensor | None = None) -> Tensor:
    return _convolve(attrs, x, weights.permute(3, 0, 1, 2), bias, x.shape[3])


def _dense(attrs: Any, x: Tensor, weights: Tensor, bias: Tensor | None = None) -> Tensor:
    result = functional.linear(x.reshape(-1, weights.shape[1]), weights, bias)
    return result.reshape(*x.shape[:-1], -1) if attrs.keep_num_dims else result


def _average(attrs: Any, x: Tensor) -> Tensor:
    """Of the pixels within the map: a sum over windows, by that of ones."""
    pool = attrs.pool

    def sums(values: Tensor) -> Tensor:
        return functional.avg_pool2d(
            _padded(_to_channels_first(values), pool.padding),
            (pool.window.h, pool.window.w),
            (pool.stride.h, pool.stride.w),
            divisor_override=1,
        )

    if pool.window.h == x.shape[1] and pool.window.w == x.shape[2] and pool.padding.is_zero:
        return x.mean(dim=(1, 2), keepdim=True)
    return _to_channels_last(sums(x) / sums(torch.ones_like(x[:1])))


def _maximum(attrs: Any, x: Tensor) -> Tensor:
    pool = attrs.pool
    padded = _padded(_to_channels_first(x), pool.padding, float("-inf"))
    window, stride = (pool.window.h, pool.window.w), (pool.stride.h, pool.stride.w)
    return _to_channels_last(functional.max_pool2d(padded, window, stride))


def _pad(attrs: Any, x: Tensor, *_: Any) -> Tensor:
    sides = [size for pair in zip(attrs.before[::-1], attrs.after[::-1], strict=True) for size in pair]
    return functional.pad(x, sides)


FORWARD: dict[str, Callable[..., Tensor]] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _dense,
    "ADD": lambda attrs, a, b: a + b,
    "SUB": lambda attrs, a, b: a - b,
    "MUL": lambda attrs, a, b: a * b,
    "AVERAGE_POOL_2D": _average,
    "MAX_POOL_2D": _maximum,
    "MEAN": lambda attrs, x, *_: x.mean(dim=attrs.axes, keepdim=attrs.keep_dims),
    "PAD": _pad,
    "CONCATENATION": lambda attrs, *maps: torch.cat(maps, dim=attrs.axis),
    "RESHAPE": lambda attrs, x, *_: x.reshape(len(x), *attrs.shape[1:]),
    "SQUEEZE": lambda attrs, x, *_: x.squeeze(attrs.axes),
    "RELU": lambda attrs, x: x.clamp(min=0.0),
    "RELU6": lambda attrs, x: x.clamp(0.0, 6.0),
    "RELU_N1_TO_1": lambda attrs, x: x.clamp(-1.0, 1.0),
    "LOGISTIC": lambda attrs, x: torch.sigmoid(x),
    "SOFTMAX": lambda attrs, x: torch.softmax(x * attrs.beta, dim=-1),
}


def can_train(node: Node) -> bool:
    """Whether gradients pass through a node."""
    return node.op in FORWARD


def bounds_of(node: Node) -> tuple[float, float]:
    """Of the clamp that a fused activation means."""
    return getattr(node.attrs, "activation", Activation.NONE).bounds


def evaluate(node: Node, *inputs: Tensor | None) -> Tensor:
    """A node's output before its fused activation; for operators without a rule here, after it."""
    rule = FORWARD.get(node.op)
    if rule is not None:
        return rule(node.attrs, *inputs)
    arrays = (None if x is None else x.detach().cpu().numpy() for x in inputs)
    return torch.from_numpy(TABLE[node.op].float_ref(node.attrs, *arrays).copy())


def run_float(node: Node, *inputs: Tensor | None) -> Tensor:
    """A node's output, its activation included."""
    low, high = bounds_of(node)
    result = evaluate(node, *inputs)
    return result if low == -float("inf") and high == float("inf") else result.clamp(low, high)
