"""How the stages of a schedule are shown: a table, and the same as data."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from quantmcu_kit.emit.layers import stage_macs
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import MemoryPlan, StageMemory
from quantmcu_kit.ir.schedule import Schedule, Stage


def stage_facts(graph: Graph, schedule: Schedule, memory: MemoryPlan) -> list[dict[str, object]]:
    """Every stage: its layers, its patches, what they compute again, the RAM that it takes."""
    pairs = zip(schedule.stages, memory.stages, strict=True)
    return [_facts(graph, stage, places) for stage, places in pairs]


def _facts(graph: Graph, stage: Stage, places: StageMemory) -> dict[str, object]:
    nodes = graph.nodes[stage.start : stage.end]
    once = sum(stage_macs(graph, Stage(stage.start, stage.end, None), node) for node in nodes)
    facts: dict[str, object] = {
        "first_layer": stage.start,
        "last_layer": stage.end - 1,
        "macs": sum(stage_macs(graph, stage, node) for node in nodes),
        "macs_once": once,
        "ram_bytes": places.bytes,
        "grid": None,
    }
    patches = stage.patches
    if patches:
        cut = patches.maps[-1]
        seen = patches.by_tensor[patches.input].needed
        facts |= {
            "grid": [patches.grid.rows, patches.grid.columns],
            "of_map": [cut.rows[-1].end, cut.columns[-1].end],
            "halo": patches.mode.value,
            "input_patch": [seen.h, seen.w],
            "input": "pulled" if patches.pulls_input else "resident",
            "accumulates": patches.accumulates,
        }
    return facts


def stage_table(facts: list[dict[str, object]], limit: int) -> Table:
    """The stages in rows; ``limit`` is the RAM that the arena may take."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("layers", "patches", "of map", "halo", "sees", "MACs again", "RAM"):
        table.add_column(title, justify="left" if title in ("layers", "halo") else "right", no_wrap=True)
    for entry in facts:
        layers = f"{entry['first_layer']:02d}-{entry['last_layer']:02d}"
        ram = Text(f"{entry['ram_bytes']:,}", "red" if entry["ram_bytes"] > limit else "")
        if entry["grid"] is None:
            table.add_row(layers, "-", "-", "layer by layer", "-", "-", ram)
            continue
        again = 100 * (entry["macs"] / entry["macs_once"] - 1) if entry["macs_once"] else 0.0
        table.add_row(
            layers,
            "x".join(map(str, entry["grid"])),
            "x".join(map(str, entry["of_map"])),
            f"{entry['halo']}{', input pulled' if entry['input'] == 'pulled' else ''}",
            "x".join(map(str, entry["input_patch"])),
            f"{again:+.1f} %",
            ram,
        )
    return table
