"""Curves as an SVG: the ratio of BitOPs that is saved against what it loses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

WIDTH, HEIGHT, MARGIN, LEGEND = 560, 380, 50, 170  # of the plot, its frame, and the names beside it
COLOURS = ("#1b6ca8", "#c2410c", "#15803d", "#7e22ce", "#be123c", "#475569")
STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20)  # between ticks


def draw(lines: Mapping[str, Sequence[tuple[float, float]]], up: str) -> str:
    """One curve per name, a dot per (ratio >= 1, loss).

    Args:
        up: what a loss is.
    """
    right = max((x for line in lines.values() for x, _ in line), default=2.0)
    top = max((y for line in lines.values() for _, y in line), default=1.0)

    def place(x: float, y: float) -> tuple[float, float]:
        across = MARGIN + (x - 1) / max(right - 1, 1e-9) * (WIDTH - 2 * MARGIN)
        return across, HEIGHT - MARGIN - max(0.0, y) / max(top, 1e-9) * (HEIGHT - 2 * MARGIN)

    def line(points: Sequence[tuple[float, float]], colour: str) -> str:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        return f'<polyline points="{path}" fill="none" stroke="{colour}"/>'

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + LEGEND} {HEIGHT}" font-family="sans-serif" '
        'font-size="11">',
        line([place(1, top), place(1, 0), place(right, 0)], "#333"),
        _text(WIDTH / 2, HEIGHT - 12, "BitOPs of 8 bits / BitOPs of the mix", "middle"),
        _text(10, MARGIN - 20, up),
    ]
    for tick in _ticks(1, right):
        x, y = place(tick, 0)
        parts.append(_text(x, y + 15, f"{tick:g}", "middle"))
    for tick in _ticks(0, top):
        x, y = place(1, tick)
        parts.append(_text(x - 6, y + 4, f"{tick:g}", "end"))
    for index, (name, points) in enumerate(lines.items()):
        colour = COLOURS[index % len(COLOURS)]
        dots = [place(*point) for point in sorted(points)]
        parts.append(line(dots, colour))
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in dots]
        parts.append(_text(WIDTH - 20, MARGIN + 15 * index, name, colour=colour))
    return "\n".join([*parts, "</svg>", ""])


def _ticks(low: float, high: float) -> np.ndarray:
    """Eight at most."""
    step = next((step for step in STEPS if (high - low) / step <= 8), STEPS[-1])
    return np.round(np.arange(low, high + step / 100, step), 6)


def _text(x: float, y: float, words: str, anchor: str = "start", colour: str = "black") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(words)}</text>'
