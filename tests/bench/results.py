"""Rows of a benchmark: shown as they come, written whole at the end."""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Results:
    """A growing table with fixed columns.

    Args:
        name: stem of the JSON file under build/bench/.
        columns: (key, width) pairs; the first is left-aligned.
    """

    def __init__(self, name: str, columns: list[tuple[str, int]]) -> None:
        self._path = ROOT / "build" / "bench" / f"{name}.json"
        self._columns = columns
        self.rows: list[dict[str, object]] = []
        self._print([key for key, _ in columns])

    def add(self, **row: object) -> None:
        """Append and print one row; keys without a column only go to the JSON file."""
        self.rows.append(row)
        self._print([row.get(key, "") for key, _ in self._columns])
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(self.rows, indent=1) + "\n")

    def _print(self, values: list[object]) -> None:
        cells = []
        for index, (value, (_, width)) in enumerate(zip(values, self._columns, strict=True)):
            text = f"{value:,.2f}" if isinstance(value, float) else f"{value:,}" if type(value) is int else str(value)
            cells.append(f"{text:<{width}}" if index == 0 else f"{text:>{width}}")
        print("  ".join(cells), flush=True)
