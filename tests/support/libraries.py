"""Generated libraries on disk, and the compilers that tests hold them against."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from quantmcu_kit import emit, memory
from quantmcu_kit.ir.contract import Golden, Preprocess
from quantmcu_kit.ir.graph import Graph
from tests.support.small_graphs import goldens

PIXEL = Preprocess("01", (0.0,), (255.0,), "--preprocess 01")
STRICT = ("-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror")


def rendered(
    graph: Graph,
    preprocess: Preprocess | None = PIXEL,
    class_names: Sequence[str] = (),
    vectors: Sequence[Golden] | None = None,
    name: str = "",
) -> dict[str, str | bytes]:
    """The files of a library, called like its graph if no name is given."""
    return emit.render(
        graph,
        memory.plan(graph),
        name=name or graph.name,
        board="nano33ble",
        preprocess=preprocess,
        class_names=class_names,
        goldens=goldens(graph) if vectors is None else vectors,
    )


def built(graph: Graph, folder: Path, **options: object) -> Path:
    """A library written to ``folder/<name>``."""
    return emit.write(rendered(graph, **options), folder / graph.name)


def sources(library: Path) -> list[Path]:
    """Every C file of a library."""
    return sorted((library / "src").rglob("*.c"))


def tool(name: str) -> str:
    """A program on PATH; skips the test where it is absent."""
    found = shutil.which(name)
    if not found:
        pytest.skip(f"{name} is not installed")
    return found


def run(*command: object) -> str:
    """Standard output of a command that must succeed."""
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, f"{' '.join(map(str, command))}\n{result.stdout}\n{result.stderr}"
    return result.stdout
