"""All searches at one budget: what they lose and what their libraries need.

python -m tests.bench.searches [--pictures N] [--targets R,R,...] [--searches S,S,...] [--board B] [name ...]

Searches see calibration pictures only and keep to 1/R of the BitOPs at 8 bits, and to the board's RAM and flash. Top-1
lost is against the float model on the same pictures of imagenet_val, paired, with its 95 % interval.
"""

from __future__ import annotations

import argparse
import csv
import os
import tempfile
from pathlib import Path

import numpy as np

from quantmcu_kit.comparison import STRATEGIES, Row, compare
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.options import Options
from tests.bench.models import entries, shared
from tests.bench.results import Results

NETWORKS = ("mobilenet_v2_05_160_float", "mcunet_320kb_float", "mobilenet_v2_10_224_float")
TARGETS = (1.6, 2.2)
BOARD = "nucleo_h743zi"
COLUMNS = [
    ("network", 26), ("search", 14), ("target", 6), ("ratio", 5), ("predicted", 9), ("measured", 9), ("top-1", 6),
    ("lost", 22), ("Mcycles", 8), ("RAM", 8), ("flash", 8), ("gap", 6), ("seconds", 8),
]  # fmt: skip


def few_pictures(folder: Path, count: int) -> Path:
    """A CSV of so many pictures of imagenet_val, evenly spread."""
    source = shared() / "images" / "imagenet_val"
    with open(source / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    chosen = [rows[at] for at in np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)]
    path = folder / "pictures.csv"
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label"))
        writer.writerows((source / row["path"], row["label"]) for row in chosen)
    return path


def cells(row: Row, whole: int) -> dict[str, object]:
    """A row of the comparison as a row of the table."""
    return {
        "search": row.strategy,
        "ratio": f"{whole / max(1, row.bitops):.2f}",
        "predicted": f"{row.predicted:.4f}",
        "measured": f"{row.divergence:.4f}",
        "top-1": f"{row.accuracy.top1.value:.2f}",
        "lost": str(row.accuracy.lost),
        "Mcycles": "" if row.cycles is None else f"{row.cycles / 1e6:.1f}",
        "RAM": row.ram_bytes,
        "flash": row.flash_bytes,
        "gap": "" if row.gap is None else f"{row.gap:.3f}",
        "seconds": f"{row.seconds:.1f}",
    }


def measure(name: str, arguments: argparse.Namespace, pictures: Path, results: Results) -> None:
    """Every target of a network."""
    (entry,) = [entry for entry in entries("float") if entry.name == name]
    model = entry.load()
    for target in map(float, arguments.targets.split(",")):
        options = Options(
            board=arguments.board,
            images=shared() / "images" / "imagenet_calib",
            preprocess=entry.preprocess,
            bitops=1 / target,
            vdpc="off",
        )
        try:
            found = compare(model, options, arguments.searches.split(","), pictures, lambda *_: None)
        except QmkitError as error:
            results.add(network=name, target=str(target), lost=error.code)
            continue
        for row in found.rows:
            results.add(network=name, target=str(target), **cells(row, found.rows[0].bitops))
        for search, error in found.failures:
            results.add(network=name, target=str(target), search=search, lost=error.code)


def main() -> None:
    """Measure three networks, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=650)
    parser.add_argument("--targets", default=",".join(map(str, TARGETS)))
    parser.add_argument("--searches", default=",".join(STRATEGIES))
    parser.add_argument("--board", default=BOARD)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    results = Results("searches", COLUMNS)
    with tempfile.TemporaryDirectory(prefix="qmkit-") as folder:
        os.environ.setdefault("XDG_CACHE_HOME", folder)  # nothing is kept from run to run
        pictures = few_pictures(Path(folder), arguments.pictures)
        for name in arguments.names or NETWORKS:
            measure(name, arguments, pictures, results)


if __name__ == "__main__":
    main()
