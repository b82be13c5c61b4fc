"""Where a training was, on disk, so that an interrupted one goes on and comes to the same result."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from quantmcu_kit.accuracy.cache import digest_of
from quantmcu_kit.accuracy.settings import TuneSettings
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.user_cache import prune

_FORMAT = 2  # what is trained, and how, has changed where it differs

# Position, state, its average, the best, optimizer.
Known = tuple[dict[str, Any], list[Tensor], list[Tensor], list[Tensor], dict[str, Any]]


@dataclass(frozen=True)
class Checkpoints:
    """One file; its name is a digest of everything that the training depends on."""

    path: Path | None

    @staticmethod
    def of(settings: TuneSettings, networks: Sequence[Graph], samples: Sequence[np.ndarray]) -> Checkpoints:
        """That of a training."""
        if settings.cache is None:
            return Checkpoints(None)
        digest = digest_of((_FORMAT, torch.__version__, settings), networks, samples)
        return Checkpoints(settings.cache / f"{digest}.pt")

    def load(self) -> Known | None:
        """What was kept, if anything was; a file that cannot be read counts as none."""
        if self.path is None or not self.path.is_file():
            return None
        try:
            known = torch.load(self.path, map_location="cpu", weights_only=True)
            return known["position"], known["state"], known["average"], known["best"], known["optimizer"]
        except Exception:  # torch.load raises whatever its unpickler comes across in a broken file
            return None

    def store(
        self,
        position: Mapping[str, Any],
        state: Sequence[Tensor],
        average: Sequence[Tensor],
        best: Sequence[Tensor],
        optimizer: Mapping[str, Any],
    ) -> None:
        """Keep it, where the file can be written."""
        if self.path is None:
            return
        tensors = {"state": list(state), "average": list(average), "best": list(best)}
        known = {"position": dict(position), **tensors, "optimizer": dict(optimizer)}
        unfinished = self.path.with_suffix(f".{os.getpid()}.tmp")
        with suppress(OSError, RuntimeError):  # torch tells of a full disk by RuntimeError
            self.path.parent.mkdir(parents=True, exist_ok=True)
            prune(self.path.parent)
            torch.save(known, unfinished)
            os.replace(unfinished, self.path)
