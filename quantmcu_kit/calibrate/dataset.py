"""The user's samples: a folder of pictures, a CSV of path,label, or numpy arrays; decoded on demand."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quantmcu_kit.calibrate.arrays import read_arrays
from quantmcu_kit.calibrate.picture import SUFFIXES, UnreadablePicture, decode
from quantmcu_kit.errors import QmkitError

LABELS_CSV = "labels.csv"
CLASS_NAMES = "labels.txt"
_MAX_TEXT_BYTES = 64 << 20
_DIGITS = 9  # of a class number
_GOLDEN = 0x9E3779B97F4A7C15  # 2^64 / golden ratio: multiples of it modulo 2^64 are evenly spread


@dataclass(frozen=True)
class Skipped:
    """A sample that could not be used, and why."""

    name: str
    reason: str


@dataclass(frozen=True, eq=False)
class Batch:
    """Decoded samples.

    Attributes:
        data: [n, ...], one sample's shape behind n: uint8 pixels, int8 quantized values or float32.
        labels: int64 [n], or None for an unlabelled set.
        names: where each sample comes from, for messages.
        skipped: the samples that were passed over before, among or right behind these.
    """

    data: np.ndarray
    labels: np.ndarray | None
    names: tuple[str, ...]
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A list of samples that are decoded when asked for.

    Attributes:
        names: one per sample.
        load: sample index -> array; raises UnreadablePicture.
        labels: int64, one per sample, or None.
        class_names: names of the classes in order, empty where unknown.
        origin: the folder or file the samples come from.
        shape: of one sample.
    """

    names: tuple[str, ...]
    load: Callable[[int], np.ndarray]
    labels: np.ndarray | None
    class_names: tuple[str, ...]
    origin: Path
    shape: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.names)

    def subset(self, indices: Sequence[int]) -> Dataset:
        """The samples at ``indices``, in that order."""
        chosen = [int(index) for index in indices]
        return Dataset(
            names=tuple(self.names[index] for index in chosen),
            load=lambda index: self.load(chosen[index]),
            labels=None if self.labels is None else self.labels[chosen],
            class_names=self.class_names,
            origin=self.origin,
            shape=self.shape,
        )

    def batches(self, size: int, limit: int | None = None) -> Iterator[Batch]:
        """Decoded batches of 1 to ``size`` samples each.

        Args:
            limit: stop after this many good samples, taken evenly from the whole list; None takes all in order.
        Raises:
            QmkitError: ``no-pictures`` when not one sample can be used.
        """
        order = range(len(self)) if limit is None or limit >= len(self) else spread(len(self))
        good: list[tuple[int, np.ndarray]] = []
        skipped: list[Skipped] = []
        delivered = 0
        for index in order:
            if delivered + len(good) == limit:
                break
            try:
                sample = self.load(index)
            except UnreadablePicture as error:
                skipped.append(Skipped(self.names[index], str(error)))
                continue
            if len(good) == size:
                yield self._batch(good, skipped)
                delivered += len(good)
                good, skipped = [], []
            good.append((index, sample))
        if not good:  # a batch is only let go when its successor has begun
            raise _none_left(self.origin, skipped)
        yield self._batch(good, skipped)

    def _batch(self, good: list[tuple[int, np.ndarray]], skipped: list[Skipped]) -> Batch:
        indices = [index for index, _ in good]
        return Batch(
            data=np.stack([data for _, data in good]),
            labels=None if self.labels is None else self.labels[indices],
            names=tuple(self.names[index] for index in indices),
            skipped=tuple(skipped),
        )


def spread(count: int) -> list[int]:
    """0..count-1 in an order whose every prefix is evenly spread over the whole, without a period (golden ratio)."""
    return sorted(range(count), key=lambda index: index * _GOLDEN % 2**64)


def open_dataset(path: Path, shape: tuple[int, ...]) -> Dataset:
    """The samples at ``path``: a folder of pictures, a CSV of path,label, a ``.npz`` or a ``.npy``.

    A folder is searched recursively for pictures, in sorted order; names that begin with a dot are left out, and names
    of sub-folders are not labels. If it holds ``labels.csv``, the pictures and labels listed there are used instead.
    ``labels.txt`` beside the samples names the classes, one per line. Arrays go in as they are: uint8 pictures, int8
    quantized values, or floats.

    Args:
        shape: of one sample, the network's input without the batch axis: (h, w, c) for pictures.
    Raises:
        QmkitError: ``no-such-images``, ``no-pictures``, ``bad-labels``, ``bad-array``, ``not-pictures``.
    """
    if not os.path.exists(path):
        raise QmkitError("no-such-images", f"{path} does not exist", hint="give a folder of pictures, a CSV or a .npz")
    if path.is_dir():
        listing = path / LABELS_CSV
        return _listed_pictures(listing, shape, path) if listing.is_file() else _folder(path, shape)
    suffix = path.suffix.lower()
    if not os.path.isfile(path):
        raise QmkitError("no-such-images", f"{path} is neither a folder nor a file")
    if suffix == ".csv":
        return _listed_pictures(path, shape, path)
    if suffix in (".npz", ".npy"):
        return _from_arrays(path, shape)
    raise QmkitError("no-such-images", f"{path.name} is neither a folder, a .csv, a .npz nor a .npy", where=str(path))


def _none_left(origin: Path, failures: Sequence[Skipped] = ()) -> QmkitError:
    reasons = "; ".join(f"{item.name}: {item.reason}" for item in failures[:3])
    return QmkitError(
        "no-pictures",
        f"no usable picture in {origin}",
        why=f"{len(failures)} skipped, such as {reasons}" if failures else "",
        hint=f"pictures are files ending in {', '.join(SUFFIXES)}",
    )


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_TEXT_BYTES:
            raise ValueError(f"it has more than {_MAX_TEXT_BYTES:,} bytes")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:  # bytes that are not UTF-8 are a ValueError too
        raise QmkitError("bad-labels", f"cannot read {path.name}", where=str(path), why=str(error)) from None


def _class_names(folder: Path) -> tuple[str, ...]:
    file = folder / CLASS_NAMES
    lines = _read_text(file).splitlines() if file.is_file() else []
    return tuple(line.strip() for line in lines if line.strip())


def _pictures(
    files: Sequence[Path], base: Path, shape: tuple[int, ...], labels: np.ndarray | None, names: tuple[str, ...]
) -> Dataset:
    if len(shape) != 3 or shape[2] not in (1, 3):
        raise QmkitError(
            "not-pictures",
            f"the network's input of shape {'x'.join(map(str, shape))} is no picture",
            where=str(base),
            why="pictures fit inputs of height x width x 1 (grey) or x 3 (RGB)",
            hint="give the samples as a .npz with x [n, ...] and optionally y [n]",
        )
    folder = base if base.is_dir() else base.parent
    return Dataset(
        names=tuple(os.path.relpath(file, folder) for file in files),
        load=lambda index: decode(files[index], *shape),
        labels=labels,
        class_names=names,
        origin=base,
        shape=shape,
    )


def _folder(folder: Path, shape: tuple[int, ...]) -> Dataset:
    files = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [Path(parent) / name for name in names if name.lower().endswith(SUFFIXES) and not name.startswith(".")]
    if not files:
        raise _none_left(folder)
    return _pictures(sorted(files), folder, shape, None, _class_names(folder))


def _listed_pictures(listing: Path, shape: tuple[int, ...], origin: Path) -> Dataset:
    """The pictures of a CSV with the columns ``path`` (relative to the CSV) and, optionally, ``label``."""
    reader = csv.DictReader(_read_text(listing).splitlines(), skipinitialspace=True)
    try:
        rows = [row for row in reader if row.get("path")]
    except csv.Error as error:
        raise _bad_labels(listing, str(error)) from None
    if "path" not in (reader.fieldnames or ()):
        raise _bad_labels(listing, "its first line must name the columns: path,label")
    if not rows:
        raise _none_left(origin)
    names = _class_names(listing.parent)
    texts = [(row.get("label") or "").strip() for row in rows]
    paths = [row["path"] for row in rows]
    labels = _labels(texts, paths, names, listing) if any(texts) else None
    return _pictures([listing.parent / path for path in paths], origin, shape, labels, names)


def _labels(texts: Sequence[str], paths: Sequence[str], names: tuple[str, ...], listing: Path) -> np.ndarray:
    """int64 labels of the CSV's texts: class numbers from 0, or names that ``labels.txt`` lists."""
    numbers = {name: number for number, name in enumerate(names)}
    labels = []
    for path, text in zip(paths, texts, strict=True):
        number = int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else numbers.get(text)
        if number is None:
            why = f"{path}: label {text[:40]!r} is neither a class number nor a name in {CLASS_NAMES}"
            raise _bad_labels(listing, why)
        labels.append(number)
    return np.array(labels, np.int64)


def _bad_labels(listing: Path, why: str) -> QmkitError:
    return QmkitError("bad-labels", f"{listing.name} is not a list of path,label", where=str(listing), why=why)


def _check_labels(y: np.ndarray, count: int, path: Path) -> None:
    if y.shape != (count,) or y.dtype.kind not in "iu":
        raise QmkitError(
            "bad-labels", f"y is {y.dtype} of shape {y.shape}", where=str(path), why=f"one integer for each of {count}"
        )
    if y.min() < 0 or y.max() >= 10**_DIGITS:
        low, high = int(y.min()), int(y.max())
        raise QmkitError("bad-labels", f"y lies in [{low}, {high}]", where=str(path), why="they count from 0")


def _from_arrays(path: Path, shape: tuple[int, ...]) -> Dataset:
    x, y = read_arrays(path)
    if x.shape[1:] != shape:
        raise QmkitError(
            "bad-array",
            f"samples of shape {x.shape[1:]} do not fit the network's input {shape}",
            where=str(path),
            why="arrays go in as they are: nothing is resized or transposed",
        )
    if not len(x):
        raise _none_left(path)
    if y is not None:
        _check_labels(y, len(x), path)

    def load(index: int) -> np.ndarray:
        sample = np.asarray(x[index])
        if sample.dtype.kind != "f":
            return sample
        with np.errstate(over="ignore"):
            values = sample.astype(np.float32)
        if not np.isfinite(values).all():
            raise UnreadablePicture("a value is NaN, infinite or beyond float32")
        return values

    return Dataset(
        names=tuple(f"x[{index}]" for index in range(len(x))),
        load=load,
        labels=None if y is None else y.astype(np.int64),
        class_names=_class_names(path.parent),
        origin=path,
        shape=shape,
    )
