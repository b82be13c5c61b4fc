"""Plans as files: JSON that a person can read and write. Nodes that no stretch lists run layer by layer.

{"stretches": [{"start": 0, "end": 12, "grid": "4x4", "halo": "reuse"}], "input": "rows"}
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.schedule import Grid, HaloMode
from quantmcu_kit.patch.plan import Plan

INPUTS = ("auto", "arena", "rows")
_EXAMPLE = '{"stretches": [{"start": 0, "end": 12, "grid": "4x4", "halo": "reuse"}], "input": "arena"}'
_FIELDS = ("start", "end", "grid", "halo")


@dataclass(frozen=True)
class Entry:
    """A stretch that runs in patches: nodes [start, end) by index."""

    start: int
    end: int
    grid: Grid
    halo: HaloMode


@dataclass(frozen=True)
class PlanFile:
    """What a file wishes.

    Attributes:
        entries: in order, apart from one another.
        input: one of ``INPUTS``.
        where: the file's name, for messages.
    """

    entries: tuple[Entry, ...]
    input: str = "auto"
    where: str = ""


def parse_grid(text: str) -> Grid | None:
    """``4x4`` -> four rows and columns of patches; None for what is no grid."""
    match = re.fullmatch(r"([1-9][0-9]{0,4})[xX]([1-9][0-9]{0,4})", text)
    return Grid(int(match[1]), int(match[2])) if match else None


def read_plan(path: Path) -> PlanFile:
    """A plan from a file.

    Raises:
        QmkitError: ``bad-plan`` names the entry at fault.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _bad(f"cannot read the plan {path}", path.name, str(error)) from None
    return plan_from_json(text, path.name)


def plan_from_json(text: str, where: str) -> PlanFile:
    """A plan from the text of a file; ``where`` is its name."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _bad("a plan must be JSON", where, str(error)) from None
    if not isinstance(data, dict) or not isinstance(data.get("stretches"), list):
        raise _bad("a plan has a list of stretches", where, "the file holds something else")
    unknown = sorted(set(data) - {"stretches", "input"})
    if unknown:
        raise _bad(f"a plan has no field {unknown[0]!r}", where, "its fields are stretches and input")
    chosen = data.get("input", "auto")
    if chosen not in INPUTS:
        raise _bad(f"the plan's input cannot be {chosen!r}", where, "the choices are " + ", ".join(INPUTS))
    entries: list[Entry] = []
    for index, value in enumerate(data["stretches"]):
        entry = _entry(value, f"{where}, stretches[{index}]")
        if entries and entry.start < entries[-1].end:
            raise _bad(
                f"nodes {entry.start}..{entry.end} begin before the stretch above ends",
                f"{where}, stretches[{index}]",
                f"that one ends at node {entries[-1].end}; stretches follow one another",
            )
        entries.append(entry)
    return PlanFile(tuple(entries), chosen, where)


def _entry(value: object, where: str) -> Entry:
    if not isinstance(value, dict):
        raise _bad("a stretch has the fields " + ", ".join(_FIELDS), where, f"this is {value!r}")
    for name in value:
        if name not in _FIELDS:
            raise _bad(f"a stretch has no field {name!r}", where, "its fields are " + ", ".join(_FIELDS))
    for name in ("start", "end", "grid"):
        if name not in value:
            raise _bad(f"a stretch needs the field {name!r}", where, "it says which nodes run in which patches")
    start, end = value["start"], value["end"]
    if type(start) is not int or type(end) is not int or not 0 <= start < end:
        raise _bad(f"nodes {start!r}..{end!r} are none", where, "start and end are indices of nodes, start below end")
    grid = parse_grid(value["grid"]) if isinstance(value["grid"], str) else None
    if grid is None:
        raise _bad(f"{value['grid']!r} is not a grid", where, 'a grid is "ROWSxCOLUMNS", such as "4x4"')
    halos = [mode.value for mode in HaloMode]
    halo = value.get("halo", HaloMode.REUSE.value)
    if halo not in halos:
        raise _bad(f"{halo!r} is not a halo mode", where, "the choices are " + ", ".join(halos))
    return Entry(start, end, grid, HaloMode(halo))


def plan_to_json(plan: Plan) -> str:
    """The text of a file that makes the same plan."""
    lines = [
        json.dumps({"start": s.segment.start, "end": s.segment.end, "grid": str(s.grid), "halo": s.mode.value})
        for s in plan.stretches
        if s.grid
    ]
    body = "[" + ",".join(f"\n    {line}" for line in lines) + ("\n  ]" if lines else "]")
    return f'{{\n  "stretches": {body},\n  "input": "{"rows" if plan.pulls_input else "arena"}"\n}}\n'


def write_plan(path: Path, plan: Plan) -> None:
    """Write a plan for :func:`read_plan`."""
    path.write_text(plan_to_json(plan), encoding="utf-8")


def _bad(message: str, where: str, why: str) -> QmkitError:
    return QmkitError("bad-plan", message, where=where, why=why, hint=f"write it like {_EXAMPLE}")
