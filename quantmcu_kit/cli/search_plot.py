"""A comparison of searches as an SVG: a bar of what each loses beside what it costs."""

from __future__ import annotations

from html import escape

from quantmcu_kit.comparison import Comparison, Row

_WIDTH, _LINE, _TOP = 760, 34, 64
_LEFT, _BAR, _RIGHT = 130, 330, 480  # where bars begin, how long they get, where figures begin
_COLOURS = {"int8": "#7f7f7f"}
_COLOUR, _BEST = "#1f77b4", "#2ca02c"


def draw(result: Comparison, model: str) -> str:
    """The drawing. With accuracies, points lost against the model file and their 95 % intervals; else divergences."""
    has_accuracy = result.model is not None
    what = "top-1 points lost, with 95 % intervals" if has_accuracy else "divergence, measured on calibration pictures"
    most = max((_end(row) for row in result.rows), default=0.0) or 1.0
    best = min((row for row in result.rows[1:]), key=_value, default=None)
    height = _TOP + _LINE * len(result.rows) + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}"'
        ' font-family="sans-serif" font-size="13">',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        _text(16, 24, f"{model}: {what}", "start", bold=True),
        *(_text(x, 50, words, "end") for x, words in ((580, "÷BitOPs"), (660, "RAM KiB"), (744, "flash KiB"))),
    ]
    whole = result.rows[0].bitops
    for index, row in enumerate(result.rows):
        y = _TOP + _LINE * index
        colour = _COLOURS.get(row.strategy, _BEST if row is best else _COLOUR)
        length = _BAR * max(0.0, _value(row)) / most
        parts += [
            _text(_LEFT - 10, y + 18, row.strategy, "end"),
            f'<rect x="{_LEFT}" y="{y + 4}" width="{length:.1f}" height="20" fill="{colour}"/>',
            *_whisker(row, y + 14, most),
            _text(_RIGHT, y + 18, f"{_value(row):.2f}" if has_accuracy else f"{_value(row):.4f}", "start"),
            _text(580, y + 18, f"{whole / max(1, row.bitops):.2f}", "end"),
            _text(660, y + 18, f"{row.ram_bytes / 1024:,.1f}", "end"),
            _text(744, y + 18, f"{row.flash_bytes / 1024:,.1f}", "end"),
        ]
    axis = f'<path d="M{_LEFT} {_TOP}V{height - 12}" stroke="#7f7f7f"/>'
    return "\n".join([*parts, axis, "</svg>\n"])


def _value(row: Row) -> float:
    return row.divergence if row.accuracy is None else row.accuracy.lost.value


def _end(row: Row) -> float:
    """Where a row's bar and interval end."""
    return row.divergence if row.accuracy is None else max(row.accuracy.lost.value, row.accuracy.lost.high)


def _whisker(row: Row, y: int, most: float) -> list[str]:
    """The part of the 95 % interval that is a loss."""
    if row.accuracy is None:
        return []
    low, high = (_LEFT + _BAR * max(0.0, end) / most for end in (row.accuracy.lost.low, row.accuracy.lost.high))
    return [f'<path d="M{low:.1f} {y}H{high:.1f}" stroke="black" stroke-width="1.5"/>'] if high > low else []


def _text(x: float, y: float, words: str, anchor: str, *, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{weight}>{escape(words)}</text>'
