"""Long fuzzing of the importer: damaged models must give a graph or an error, quickly.

python -m tests.bench.fuzz_import [files per model]
"""

from __future__ import annotations

import sys
import time

import numpy as np

from quantmcu_kit import passes, tflite
from quantmcu_kit.errors import QmkitError
from tests.bench.models import shared
from tests.bench.results import Results

SLOWEST_SECONDS = 5.0
LARGEST_MODEL = 400_000  # bytes; larger files only hold more weights


def damage(data: bytes, rng: np.random.Generator) -> bytes:
    """A copy with up to 8 bytes changed, or cut short; mostly in the last tenth, where the tables lie."""
    if rng.random() < 0.1:
        return data[: rng.integers(len(data))]
    damaged = bytearray(data)
    for _ in range(rng.integers(1, 9)):
        start = len(data) * 9 // 10 if rng.random() < 0.7 else 0
        damaged[rng.integers(start, len(data))] = rng.integers(256)
    return bytes(damaged)


def main() -> None:
    """Damage every small model ``count`` times."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    results = Results("fuzz_import", [("model", 30), ("files", 7), ("imported", 9), ("refused", 8), ("slowest s", 10)])
    for path in sorted((shared() / "models").glob("*.tflite")):
        data = path.read_bytes()
        if len(data) > LARGEST_MODEL:
            continue
        rng = np.random.default_rng(len(data))
        imported, slowest = 0, 0.0
        for _ in range(count):
            started = time.perf_counter()
            try:
                passes.run_all(tflite.load(damage(data, rng), name="fuzz", where="fuzz.tflite"))
                imported += 1
            except QmkitError:
                pass
            slowest = max(slowest, time.perf_counter() - started)
        results.add(model=path.stem, files=count, imported=imported, refused=count - imported, **{"slowest s": slowest})
    if any(row["slowest s"] > SLOWEST_SECONDS for row in results.rows):
        raise SystemExit("an import took too long")


if __name__ == "__main__":
    main()
