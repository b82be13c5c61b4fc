"""The user's folder for what can be made again: interrupted work goes on from it, compiled helpers stay in it."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

_DAYS = 30  # that files are kept


def user_cache(name: str) -> Path:
    """The folder of that name in it; it need not exist."""
    named = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME")
    return (Path(named) if named else _home() / ".cache") / "qmkit" / name


def _home() -> Path:
    """The home folder; one for temporary files where the user has none, as in some containers."""
    try:
        return Path.home()
    except RuntimeError:
        return Path(tempfile.gettempdir())


def prune(folder: Path) -> None:
    """Old files go, as far as they can be deleted."""
    oldest = time.time() - _DAYS * 86400
    with suppress(OSError):
        for path in folder.iterdir():
            with suppress(OSError):
                if path.stat().st_mtime < oldest:
                    path.unlink()
