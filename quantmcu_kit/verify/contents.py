"""Reads what a generated library carries: its manifest, its network, its golden vectors."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir import manifest as manifests
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ops.serialize import load_graph, unpack


def read_manifest(library: Path) -> manifests.Manifest:
    """The library's manifest; raises ``not-a-library``."""
    return manifests.from_json(_read(library, manifests.PATH).decode("utf-8", errors="replace"))


@dataclass(frozen=True, eq=False)
class Contents:
    """Manifest, integer graph, and golden inputs and outputs: int8 arrays [n, ...] per port."""

    manifest: manifests.Manifest
    graph: Graph
    golden_inputs: tuple[np.ndarray, ...]
    golden_outputs: tuple[np.ndarray, ...]


def read_contents(library: Path) -> Contents:
    """Everything needed to verify the library; raises ``not-a-library`` or ``damaged-library``."""
    manifest = read_manifest(library)
    graph = load_graph(_read_unchanged(library, manifests.NETWORK_PATH, manifest.network_sha256))
    stacks = unpack(_read_unchanged(library, manifests.GOLDENS_PATH, manifest.goldens_sha256))
    inputs = tuple(stacks[f"inputs/{port}"] for port in range(len(graph.inputs)))
    outputs = tuple(stacks[f"outputs/{port}"] for port in range(len(graph.outputs)))
    return Contents(manifest, graph, inputs, outputs)


def _read(library: Path, path: str) -> bytes:
    try:
        return (library / path).read_bytes()
    except OSError as error:
        raise QmkitError(
            "not-a-library",
            f"{library} is not a library that qmkit built",
            where=str(library / path),
            why=error.strerror or str(error),
            hint="name the folder that `qmkit build` wrote",
        ) from error


def _read_unchanged(library: Path, path: str, sha256: str) -> bytes:
    data = _read(library, path)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise QmkitError(
            "damaged-library",
            f"{path} is not what qmkit wrote",
            where=str(library / path),
            why=f"its sha256 differs from the one in {manifests.PATH}",
            hint="build the library again",
        )
    return data
