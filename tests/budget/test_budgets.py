"""Sizes that are promised: code, stack and arena, and the estimate that `qmkit build` prints."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from quantmcu_kit import emit, memory, passes, pipeline, tflite
from quantmcu_kit.emit.footprint import PACKED_STACK_BYTES, STACK_BYTES, estimate_footprint, table_bytes
from quantmcu_kit.ir import manifest as manifests
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.schedule import Grid, HaloMode, Schedule, Stage
from quantmcu_kit.patch.lay_out import lay_out_segment
from quantmcu_kit.patch.segment import segment
from tests.support import arm
from tests.support.packed_networks import narrowed
from tests.support.shared import model_bytes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BUDGETS = tomllib.loads((Path(__file__).parent / "budgets.toml").read_text())
NM = shutil.which("arm-none-eabi-nm")
DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits" / "digits.tflite"

_FRAME = re.compile(r'node: \{ title: "([^"]+)" label: "[^"]*?\\n(\d+) bytes \((\w+)\)')
_CALL = re.compile(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"')
PATCHED = (("resident", Grid(12, 1), HaloMode.REUSE, False), ("pulled", Grid(4, 4), HaloMode.REUSE, True))


@pytest.fixture(scope="module")
def network() -> Graph:
    """vww_96_int8."""
    return passes.run_all(tflite.load(model_bytes("vww_96_int8"), name="vww_96_int8"))


def in_patches(graph: Graph, grid: Grid, mode: HaloMode, *, is_pulled: bool) -> Schedule:
    """The first nine layers in patches."""
    patches = lay_out_segment(graph, segment(graph, 0, 9), grid, mode, is_pulled=is_pulled)
    return Schedule((Stage(0, 9, patches), Stage(9, len(graph.nodes), None)))


@pytest.fixture(scope="module")
def vww(network, tmp_path_factory) -> Path:
    """The library of vww_96_int8."""
    return write(network, Schedule.whole(network), tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module", params=PATCHED, ids=lambda case: case[0])
def patched(request, network, tmp_path_factory) -> Path:
    """The same in patches, with an input that is in the arena, and one that is not."""
    _, grid, mode, is_pulled = request.param
    schedule = in_patches(network, grid, mode, is_pulled=is_pulled)
    return write(network, schedule, tmp_path_factory.mktemp("patched"))


@pytest.fixture(scope="module", params=["whole", "patches"])
def packed(request, network, tmp_path_factory) -> Path:
    """The same with random widths of maps and weights."""
    graph, schedule = narrowed(network, np.random.default_rng(0)), Schedule.whole(network)
    if request.param == "patches":
        schedule = in_patches(graph, Grid(4, 4), HaloMode.REUSE, is_pulled=False)
    return write(graph, schedule, tmp_path_factory.mktemp("packed"))


def write(graph: Graph, schedule: Schedule, folder: Path) -> Path:
    """A library called vww."""
    plan = memory.plan(graph, schedule)
    files = emit.render(graph, plan, name="vww", board="nano33ble", schedule=schedule)
    return emit.write(files, folder / "vww")


def _compile(library: Path, folder: Path, *flags: str) -> list[Path]:
    objects = []
    for source in sorted((library / "src").rglob("*.c")):
        target = folder / f"{source.stem}.o"
        command = [arm.COMPILER, *arm.FLAGS, *flags, "-I", library / "src", "-c", source, "-o", target]
        subprocess.run([str(part) for part in command], check=True, capture_output=True)
        objects.append(target)
    return objects


def _code_bytes(library: Path, folder: Path) -> int:
    """What a sketch takes that calls the network: linked, without constants."""
    objects = _compile(library, folder)
    constants = arm.sizes(objects)["weights"][0]
    linked = arm.linked(objects, ["vww_run_quantized"], folder / "linked.elf")
    manifest = _manifest(library)
    words = (library / "src" / "vww" / "weights.c").read_text().count("const int32_t")
    assert 0 <= constants - manifest.weights_bytes <= 3 * words  # alignment of tables of words
    return arm.sizes([linked])["linked"][0] - constants - sum(map(table_bytes, manifest.segments))


def _manifest(library: Path) -> manifests.Manifest:
    return manifests.from_json((library / manifests.PATH).read_text())


@arm.needs_arm
def test_code_and_estimate(vww, tmp_path):
    code = _code_bytes(vww, tmp_path)
    assert code <= BUDGETS["vww_96_int8"]["code"]
    manifest = _manifest(vww)
    assert abs(estimate_footprint(manifest).code_bytes - code) <= 0.1 * code
    sizes = arm.sizes(list(tmp_path.glob("*.o")))
    assert sizes["static_arena"][1] == manifest.arena_bytes == BUDGETS["vww_96_int8"]["arena"]
    assert sum(zeroed for _, zeroed in sizes.values()) == manifest.arena_bytes  # the arena is the only variable


@arm.needs_arm
def test_code_and_estimate_of_patches(patched, tmp_path):
    code = _code_bytes(patched, tmp_path)
    assert code <= BUDGETS["vww_96_int8"]["code_in_patches"]
    assert abs(estimate_footprint(_manifest(patched)).code_bytes - code) <= 0.1 * code


@arm.needs_arm
def test_estimate_with_packed_maps(packed, tmp_path):
    code = _code_bytes(packed, tmp_path)
    assert abs(estimate_footprint(_manifest(packed)).code_bytes - code) <= 0.1 * code


@arm.needs_arm
def test_tables_of_segments_are_constants(patched, tmp_path):
    """The estimate is what the compiler makes of the tables, to the byte."""
    _compile(patched, tmp_path, "-fdata-sections")
    listing = subprocess.run([NM, "-S", tmp_path / "vww.o"], check=True, capture_output=True, text=True).stdout
    rows = [line.split() for line in listing.splitlines()]
    sizes = [int(row[1], 16) for row in rows if len(row) == 4 and re.match(r"segment_0(?!_row$)", row[3])]
    manifest = _manifest(patched)
    (entry,) = manifest.segments
    assert len(sizes) == 4  # the segment, its maps, rows and columns
    assert table_bytes(entry) == sum(sizes)
    assert estimate_footprint(manifest).weights_bytes == manifest.weights_bytes + sum(sizes)


@arm.needs_arm
def test_stack_is_below_what_is_reserved(vww, tmp_path):
    assert _most_stack(vww, tmp_path) <= BUDGETS["vww_96_int8"]["stack"] <= STACK_BYTES


@arm.needs_arm
def test_stack_of_patches_is_below_what_is_reserved(patched, tmp_path):
    assert _most_stack(patched, tmp_path) <= BUDGETS["vww_96_int8"]["stack_in_patches"] <= STACK_BYTES


@arm.needs_arm
def test_stack_with_packed_maps_is_below_what_is_reserved(packed, tmp_path):
    most = _most_stack(packed, tmp_path)
    assert STACK_BYTES // 2 < most <= estimate_footprint(_manifest(packed)).stack_bytes == PACKED_STACK_BYTES


def _most_stack(library: Path, folder: Path) -> int:
    """Frames of the deepest chain of calls, from the compiler's call graph; what it calls beside is not counted."""
    _compile(library, folder, "-fcallgraph-info=su")
    frames: dict[str, int] = {}
    callees: dict[str, set[str]] = {}
    for listing in folder.glob("*.ci"):
        text = listing.read_text()
        for name, size, kind in _FRAME.findall(text):
            assert kind == "static", f"{name}: a frame of unbounded size"
            frames[name] = int(size)
        for caller, callee in _CALL.findall(text):
            callees.setdefault(caller, set()).add(callee)

    def depth(name: str) -> int:
        return frames.get(name, 0) + max(map(depth, callees.get(name, ())), default=0)

    assert "vww_run_quantized" in frames
    return max(map(depth, frames))


def test_arena_of_the_example_network():
    plan = memory.plan(pipeline.sized_graph(pipeline.load_model(DIGITS)))
    assert plan.arena_bytes == plan.lower_bound_bytes == BUDGETS["digits"]["arena"]
