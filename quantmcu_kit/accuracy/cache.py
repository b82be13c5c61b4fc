"""Finished blocks on disk, so that an interrupted reconstruction goes on where it was."""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quantmcu_kit.accuracy.blocks import Block
from quantmcu_kit.accuracy.settings import Settings
from quantmcu_kit.accuracy.start import BlockReport
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.user_cache import prune

_FORMAT = 1  # of the files; what is trained, and how, has changed where it differs

Known = tuple[list[np.ndarray], BlockReport]


@dataclass
class Cache:
    """Files ``<key>.npz``. The key of a block is a hash of everything that it depends on: networks, pictures, settings,
    and what became of the blocks before it."""

    folder: Path | None
    key: str

    @staticmethod
    def of(settings: Settings, networks: Iterable[Graph], arrays: Iterable[np.ndarray]) -> Cache:
        """The cache at the network's beginning."""
        if settings.cache is None:
            return Cache(None, "")
        return Cache(settings.cache, digest_of((_FORMAT, settings), networks, arrays))

    def load(self, block: Block) -> Known | None:
        """What was kept of a block, if anything was; a file that cannot be read counts as none."""
        if self.folder is None:
            return None
        try:
            with np.load(self._path, allow_pickle=False) as file:
                state = [file[f"state{index}"] for index in range(int(file["count"]))]
                iterations, before, after = (float(value) for value in file["report"])
        except (OSError, KeyError, TypeError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
            return None
        self._advance(state)
        return state, BlockReport(block.output, int(iterations), before, after)

    def store(self, block: Block, state: list[np.ndarray], report: BlockReport) -> None:
        """Keep a block, where its file can be written."""
        if self.folder is None:
            return
        with suppress(OSError):
            self._write(state, report)
        self._advance(state)

    def _write(self, state: list[np.ndarray], report: BlockReport) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        prune(self.folder)
        unfinished = self._path.with_suffix(f".{os.getpid()}.tmp")
        arrays = {f"state{index}": values for index, values in enumerate(state)}
        facts = np.array([report.iterations, report.before, report.after])
        with open(unfinished, "wb") as file:
            np.savez(file, count=np.array(len(state)), report=facts, **arrays)
        os.replace(unfinished, self._path)

    @property
    def _path(self) -> Path:
        return self.folder / f"{self.key}.npz"

    def _advance(self, state: list[np.ndarray]) -> None:
        digest = hashlib.sha256(self.key.encode())
        for values in state:
            digest.update(np.ascontiguousarray(values).tobytes())
        self.key = digest.hexdigest()


def digest_of(facts: object, networks: Iterable[Graph], arrays: Iterable[np.ndarray]) -> str:
    """Of everything that a training depends on."""
    digest = hashlib.sha256(repr(facts).encode())
    for network in networks:
        digest.update(repr(network.nodes).encode())
        for name in sorted(network.tensors):
            tensor = network.tensors[name]
            digest.update(repr((name, tensor.shape, tensor.dtype.value)).encode())
            quant = tensor.quant
            for values in (tensor.data, *((quant.scale, quant.zero_point) if quant else ())):
                if values is not None:
                    digest.update(np.ascontiguousarray(values).tobytes())
    for values in arrays:
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
