"""Reads what a generated library carries: its manifest, its network, its golden vectors."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir import manifest as manifests
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ops.serialize import unpack
from quantmcu_kit.ops.serialize_branches import Network, load_network


def read_manifest(library: Path) -> manifests.Manifest:
    """The library's manifest; raises ``not-a-library``."""
    return manifests.from_json(_read(library, manifests.PATH).decode("utf-8", errors="replace"))


@dataclass(frozen=True, eq=False)
class Contents:
    """Manifest, network, and golden inputs and outputs: int8 arrays [n, ...] per port."""

    manifest: manifests.Manifest
    network: Network
    golden_inputs: tuple[np.ndarray, ...]
    golden_outputs: tuple[np.ndarray, ...]

    @property
    def graph(self) -> Graph:
        """The integer graph, or that which stands for all branch classes."""
        return self.network.graph


def read_contents(library: Path) -> Contents:
    """Everything needed to verify the library; raises ``not-a-library`` or ``damaged-library``."""
    manifest = read_manifest(library)
    network = load_network(_read_unchanged(library, manifests.NETWORK_PATH, manifest.network_sha256))
    stacks = unpack(_read_unchanged(library, manifests.GOLDENS_PATH, manifest.goldens_sha256))
    inputs = tuple(stacks[f"inputs/{port}"] for port in range(len(network.graph.inputs)))
    outputs = tuple(stacks[f"outputs/{port}"] for port in range(len(network.graph.outputs)))
    return Contents(manifest, network, inputs, outputs)


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
