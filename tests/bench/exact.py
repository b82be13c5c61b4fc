"""Byte-equality of built libraries with TFLite's reference kernels, over every quantized model.

python -m tests.bench.exact [inputs per model] [name ...]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from quantmcu_kit import calibrate, emit, memory
from quantmcu_kit.calibrate import FloatReference
from quantmcu_kit.ir.graph import Graph, Port
from quantmcu_kit.ir.types import DType
from quantmcu_kit.pipeline import Model
from quantmcu_kit.verify import HostLibrary, verify_library
from tests.bench.models import ModelEntry, anomaly_windows, entries, keyword_features, picture_set
from tests.bench.results import Results

NOISE = 8  # inputs of random bytes, beside real ones
BATCH = 10


def quantized_samples(entry: ModelEntry, model: Model, count: int) -> np.ndarray:
    """int8 inputs [count, ...]: real ones where the model has a set, the rest uniform noise."""
    shape = model.sample_shape
    noise = np.random.default_rng(0).integers(-128, 128, (count, *shape)).astype(np.int8)
    real = np.empty((0, *shape), np.int8)
    if entry.images == "kws01":
        real = keyword_features()[0]
    elif entry.images == "ad01":
        real = calibrate.quantized_inputs(model.graph, anomaly_windows()[0][:, 50], None)
    elif entry.images:
        batches = picture_set(entry.images, model).batches(count, limit=count)
        real = calibrate.quantized_inputs(model.graph, next(batches).data, entry.normalisation(model))
    real = real[: count - NOISE]
    return np.concatenate([real, noise[: count - len(real)]])


def as_in_the_file(graph: Graph, port: Port, output: np.ndarray) -> np.ndarray:
    """A library's int8 output as the model file exposes it."""
    if port.dtype is DType.F32:
        output = graph.tensors[port.tensor].quant.dequantize(output)
    elif port.dtype is DType.U8:
        output = output.view(np.uint8) ^ np.uint8(0x80)
    return output.reshape(len(output), *port.shape[1:])


def compare(entry: ModelEntry, count: int) -> dict[str, object]:
    """Build a library, run it and the reference on ``count`` inputs, and count the outputs that differ."""
    model = entry.load()
    inputs = quantized_samples(entry, model, count)
    plan = memory.plan(model.graph)
    with tempfile.TemporaryDirectory() as folder:
        files = emit.render(model.graph, plan, name=model.name, board="nano33ble")
        path = emit.write(files, Path(folder, "library"))
        sanitized = verify_library(path, sanitize=True)
        with HostLibrary(path) as library:
            started = time.perf_counter()
            outputs = library.run(inputs)
            rate = count / (time.perf_counter() - started)
    differing = set()
    with FloatReference(model.data, reference_kernels=True, picture_seconds=120) as reference:
        for start in range(0, count, BATCH):
            batch = slice(start, start + BATCH)
            expected = reference.outputs([calibrate.runtime_inputs(model.graph, inputs[batch], None)])
            for port, output, wanted in zip(model.graph.outputs, outputs, expected, strict=True):
                rows = as_in_the_file(model.graph, port, output[batch]) != wanted
                differing |= {start + int(row) for row in np.flatnonzero(rows.reshape(len(rows), -1).any(axis=1))}
    return {
        "inputs": count,
        "differing": len(differing),
        "sanitized": "clean" if sanitized.passed and len(sanitized.sanitizers) == 2 else "NO",
        "arena": plan.arena_bytes,
        "bound": plan.lower_bound_bytes,
        "per second": rate,
    }


def main() -> None:
    """Compare every int8-exact, uint8 and odd model, or those that are named."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    columns = [
        ("model", 30),
        ("kind", 11),
        ("inputs", 7),
        ("differing", 10),
        ("sanitized", 10),
        ("arena", 10),
        ("bound", 10),
        ("per second", 11),
    ]
    results = Results("exact", columns)
    for entry in entries("int8-exact", "uint8"):
        if len(sys.argv) < 3 or entry.name in sys.argv[2:]:
            results.add(model=entry.name, kind=entry.kind, **compare(entry, count))
    if any(row["differing"] or row["sanitized"] != "clean" for row in results.rows):
        raise SystemExit("some outputs differ from TFLite's reference kernels, or a sanitizer found something")


if __name__ == "__main__":
    main()
