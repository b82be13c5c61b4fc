"""Writes a rendered library: whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir import manifest as manifests

_BY_PRODUCTS = frozenset({".pio", "__pycache__"})  # folders that running the library's own test leaves in it


def write(files: Mapping[str, str | bytes], target: Path, force: bool = False) -> Path:
    """Write ``files`` as the folder ``target`` and return its absolute path.

    They are written beside the target, flushed to disk, and renamed into place. A library that lies there already is
    replaced, and stays as it was when anything fails or interrupts.

    Args:
        force: also replace a folder that is no library of qmkit, or one with files of the user's.
    Raises:
        QmkitError: ``output-not-empty`` or ``output-unwritable``.
    """
    target = Path(os.path.realpath(target))
    _refuse_working_folders(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _recover(target)
        if not force:
            _refuse_foreign_files(target)
        staging = target.parent / f".{target.name}.{os.getpid()}.qmkit-new"
        shutil.rmtree(staging, ignore_errors=True)
        try:
            _write_all(files, staging)
            _exchange(staging, target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise QmkitError(
            "output-unwritable",
            f"the library cannot be written to {target}",
            where=str(error.filename or target),
            why=error.strerror or str(error),
            hint="choose another folder with --output",
        ) from error
    return target


def _refuse_working_folders(target: Path) -> None:
    """The folder is replaced as a whole, so it must not be one that somebody stands in."""
    for folder in (Path.cwd(), Path.home()):
        if folder.resolve().is_relative_to(target):
            raise QmkitError(
                "output-not-empty",
                f"{target} cannot be replaced by a library",
                why="it is or holds the current folder or the home folder",
                hint="name a folder of its own with --output",
            )


def _refuse_foreign_files(target: Path) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise QmkitError("output-not-empty", f"{target} is a file", hint="name another folder with --output")
    entries = (path.relative_to(target) for path in target.rglob("*") if not path.is_dir() or path.is_symlink())
    found = {path.as_posix() for path in entries if not _BY_PRODUCTS & set(path.parts)}
    foreign = sorted(found - _written_before(target))
    if foreign:
        shown = ", ".join(foreign[:3]) + (f" and {len(foreign) - 3} more" if len(foreign) > 3 else "")
        raise QmkitError(
            "output-not-empty",
            f"{target} holds files that qmkit did not write",
            where=shown,
            why="the folder is replaced as a whole",
            hint="choose another folder with --output, or add --force to replace it",
        )


def _written_before(target: Path) -> frozenset[str]:
    """Paths that the library in ``target`` consists of; none if there is no library."""
    manifest = target / manifests.PATH
    return manifests.listed_files(manifest.read_text("utf-8", "replace")) if manifest.is_file() else frozenset()


def _write_all(files: Mapping[str, str | bytes], folder: Path) -> None:
    for path, content in files.items():
        destination = folder / path
        destination.parent.mkdir(parents=True, exist_ok=True)
        with open(destination, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
    for parent, _, _ in os.walk(folder, topdown=False):
        _sync_folder(Path(parent))


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # folders cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _backup(target: Path) -> Path:
    return target.parent / f".{target.name}.qmkit-old"


def _recover(target: Path) -> None:
    """Bring back the old library if a write was killed between the two renames below."""
    backup = _backup(target)
    if os.path.lexists(backup) and not os.path.lexists(target):
        os.rename(backup, target)


def _exchange(staging: Path, target: Path) -> None:
    backup = _backup(target)
    _remove(backup)
    try:
        if os.path.lexists(target):
            os.rename(target, backup)
        os.rename(staging, target)
    except BaseException:
        _recover(target)
        raise
    _sync_folder(target.parent)
    _remove(backup)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()
