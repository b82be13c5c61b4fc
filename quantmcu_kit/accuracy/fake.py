"""Quantization in torch, with straight-through gradients, written by hand: torch's own is slow on a CPU.

Straight-through: rounding passes gradients on as if it were not there; clamping stops them. What a scale gets is the
derivative at fixed integers (LSQ, Esser et al. 2020).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function


def rounded(x: Tensor) -> Tensor:
    """The nearest integer, with the gradient of ``x``."""
    return x + (x.round() - x).detach()


def _within(gradient: Tensor, x: Tensor, low: float, high: float) -> Tensor:
    """The gradient of a clamp, in one pass."""
    return torch.ops.aten.hardtanh_backward(gradient, x, low, high)


class _Levels(Function):
    """step · (clamp(round(x / step), low, high)), where low = least - zero and high = greatest - zero."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, step: Tensor, zero: Tensor, least: float, greatest: float) -> Tensor:
        s, z = float(step), float(zero)
        low, high = least - z, greatest - z
        result = (x / s).round_().clamp_(low, high).mul_(s)
        ctx.save_for_backward(x, result)
        ctx.step, ctx.ends = s, (low * s, high * s)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, result = ctx.saved_tensors
        passed = _within(gradient, x, *ctx.ends)
        of_step = of_zero = None
        if ctx.needs_input_grad[1]:
            of_step = (torch.dot(gradient.reshape(-1), result.reshape(-1)) - (passed * x).sum()) / ctx.step
        if ctx.needs_input_grad[2]:
            of_zero = -ctx.step * (gradient.sum() - passed.sum())
        return passed, of_step, of_zero, None, None


class _Fixed(Function):
    """step · clamp(round(x / step), low, high) for a step that is not trained: less to compute, and to keep."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, step: float, low: float, high: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.ends = low * step, high * step
        return (x / step).round_().clamp_(low, high).mul_(step)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (x,) = ctx.saved_tensors
        return _within(gradient, x, *ctx.ends), None, None, None


def fixed_levels(x: Tensor, step: float, low: float, high: float) -> Tensor:
    """The nearest of the real values step · q, low <= q <= high, differentiable in x."""
    return _Fixed.apply(x, step, low, high)


def levels(x: Tensor, step: Tensor, zero: Tensor, least: float, greatest: float) -> Tensor:
    """The nearest of the real values step · (q - zero), least <= q <= greatest, differentiable in x, step and zero.

    Args:
        zero: an integer, as a float.
    """
    return _Levels.apply(x, step, zero, least, greatest)
