"""Runs a library's golden vectors on an emulated board and compares every byte with what is stored with them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quantmcu_kit.boards.catalog import Board
from quantmcu_kit.emulate.library import BoardLibrary
from quantmcu_kit.verify.contents import read_contents


@dataclass(frozen=True)
class BoardResult:
    """How many golden vectors ran on the emulated board, and how many gave other bytes than the host."""

    board: str
    vectors: int
    mismatches: int
    cycles: int
    compiler: str

    @property
    def passed(self) -> bool:
        """Whether every byte agrees."""
        return self.mismatches == 0


def verify_on_board(path: Path, board: Board) -> BoardResult:
    """Compile the library in ``path`` for ``board``, run its golden vectors there and compare the outputs.

    Raises:
        QmkitError: ``not-a-library``, ``damaged-library``, or as of :class:`BoardLibrary`.
    """
    contents = read_contents(path)
    with BoardLibrary(path, contents.manifest, board) as library:
        run = library.run(*contents.golden_inputs)
    rows = zip(run.outputs, contents.golden_outputs, strict=True)
    differs = np.logical_or.reduce([(got != want).reshape(len(got), -1).any(axis=1) for got, want in rows])
    return BoardResult(board.id, len(differs), int(differs.sum()), max(run.cycles), library.toolchain.name)
