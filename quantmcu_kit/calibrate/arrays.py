"""Samples given as numpy files: ``.npz`` with ``x`` and optionally ``y``, or a bare ``.npy``. Never trusted."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from quantmcu_kit.errors import QmkitError

_MAX_BYTES = 4 << 30  # of one array, unpacked
_HINT = "save uint8 pictures, int8 features or floats: np.savez(path, x=samples, y=labels)"


def read_arrays(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """(x, y or None) of a ``.npz`` or ``.npy`` file; x is uint8, int8 or float, samples along its first axis.

    Raises:
        QmkitError: ``bad-array`` when the file is broken, pickled, too large, or of another type.
    """
    try:
        if path.suffix.lower() == ".npy":
            x, y = np.lib.format.open_memmap(path, mode="r"), None
        else:
            x, y = _read_npz(path)
    except Exception as error:  # garbage may raise anything: zlib.error, tokenize.TokenError, NotImplementedError ...
        why = _reason(error)
        raise QmkitError("bad-array", f"cannot read {path.name}", where=str(path), why=why, hint=_HINT) from None
    _check_type(x, path)
    return x, y


def _read_npz(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    with zipfile.ZipFile(path) as archive:
        largest = max((info.file_size for info in archive.infolist()), default=0)
        if largest > _MAX_BYTES:
            raise ValueError(f"an array of {largest:,} bytes is over the limit of {_MAX_BYTES:,}")
    with np.load(path, allow_pickle=False) as archive:
        if "x" not in archive.files:
            raise ValueError(f"no array named 'x'; it has {', '.join(archive.files[:5]) or 'none'}")
        x, y = archive["x"], archive["y"] if "y" in archive.files else None
    if not isinstance(x, np.ndarray) or not isinstance(y, (np.ndarray, type(None))):
        raise ValueError("x and y must be arrays; numpy gives the bytes of what is none")
    return x, y


def _reason(error: Exception) -> str:
    text = str(error).splitlines()
    if text and ("allow_pickle" in text[0] or "Python objects" in text[0]):
        return "pickled objects are refused"
    return text[0] if text else type(error).__name__


def _check_type(x: np.ndarray, path: Path) -> None:
    if x.ndim < 1 or not (x.dtype in (np.uint8, np.int8) or x.dtype.kind == "f"):
        raise QmkitError(
            "bad-array",
            f"{path.name} holds {x.dtype} of shape {x.shape}",
            where=str(path),
            why="samples are uint8 (pictures), int8 (already quantized) or floating-point, along the first axis",
            hint=_HINT,
        )
