"""Sizes that are promised: code, stack and arena, and the estimate that `qmkit build` prints."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from quantmcu_kit import emit, memory, passes, pipeline, tflite
from quantmcu_kit.emit.footprint import STACK_BYTES, estimate_footprint
from quantmcu_kit.ir import manifest as manifests
from tests.support import arm
from tests.support.shared import model_bytes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BUDGETS = tomllib.loads((Path(__file__).parent / "budgets.toml").read_text())
DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits" / "digits.tflite"


@pytest.fixture(scope="module")
def vww(tmp_path_factory) -> Path:
    """The library of vww_96_int8."""
    graph = passes.run_all(tflite.load(model_bytes("vww_96_int8"), name="vww_96_int8"))
    files = emit.render(graph, memory.plan(graph), name="vww", board="nano33ble")
    return emit.write(files, tmp_path_factory.mktemp("built") / "vww")


def _compile(library: Path, folder: Path, *flags: str) -> dict[str, tuple[int, int]]:
    objects = []
    for source in sorted((library / "src").rglob("*.c")):
        target = folder / f"{source.stem}.o"
        command = [arm.COMPILER, *arm.FLAGS, *flags, "-I", library / "src", "-c", source, "-o", target]
        subprocess.run([str(part) for part in command], check=True, capture_output=True)
        objects.append(target)
    return arm.sizes(objects)


@arm.needs_arm
def test_code_and_estimate(vww, tmp_path):
    sizes = _compile(vww, tmp_path)
    code = sum(text for stem, (text, _) in sizes.items() if stem != "weights")
    assert code <= BUDGETS["vww_96_int8"]["code"]
    manifest = manifests.from_json((vww / manifests.PATH).read_text())
    footprint = estimate_footprint(manifest)
    assert 0 <= sizes["weights"][0] - manifest.weights_bytes < 16  # alignment between the tables
    assert abs(footprint.code_bytes - code) <= 0.1 * code
    assert sizes["static_arena"][1] == manifest.arena_bytes == BUDGETS["vww_96_int8"]["arena"]
    assert sum(zeroed for _, zeroed in sizes.values()) == manifest.arena_bytes  # the arena is the only variable


@arm.needs_arm
def test_stack_is_below_what_is_reserved(vww, tmp_path):
    """Every frame added up is more than the deepest chain can take."""
    _compile(vww, tmp_path, "-fstack-usage")
    frames = []
    for usage in tmp_path.glob("*.su"):
        for line in usage.read_text().splitlines():
            _, size, kind = line.split("\t")
            assert kind == "static", f"{usage.stem}: a frame of unbounded size"
            frames.append((int(size), usage.stem))
    by_file: dict[str, int] = {}
    for size, stem in frames:
        by_file[stem] = by_file.get(stem, 0) + size
    network, kernels, primitives = 0, 0, 0
    for stem, size in by_file.items():
        if stem.endswith("_ref"):
            primitives = max(primitives, size)
        elif re.fullmatch(r"vww|static_arena|preprocess", stem):
            network += size
        else:
            kernels = max(kernels, size)
    assert network + kernels + primitives <= BUDGETS["vww_96_int8"]["stack"] <= STACK_BYTES


def test_arena_of_the_example_network():
    plan = memory.plan(pipeline.sized_graph(pipeline.load_model(DIGITS)))
    assert plan.arena_bytes == plan.lower_bound_bytes == BUDGETS["digits"]["arena"]
