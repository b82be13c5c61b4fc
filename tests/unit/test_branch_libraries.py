"""Libraries whose patches are of two branch classes: what they carry and say, memory, latency, and how a difference is
named."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantmcu_kit import emit, memory
from quantmcu_kit.boards import catalog
from quantmcu_kit.emit.footprint import table_bytes
from quantmcu_kit.emit.latency import estimate_latency
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir import manifest as manifests
from quantmcu_kit.ir.branches import Branches, Scan, StaticClasses, inner_maps, settled
from quantmcu_kit.ir.contract import Golden
from quantmcu_kit.ir.plans import MIXED, OUTLIER
from quantmcu_kit.ir.schedule import HaloMode
from quantmcu_kit.ir.text import dump
from quantmcu_kit.ops.branches import interpreter_of
from quantmcu_kit.ops.serialize import save_graph
from quantmcu_kit.ops.serialize_branches import load_network, save_network
from quantmcu_kit.verify import verify_library
from quantmcu_kit.verify.contents import read_contents
from tests.support.branch_cases import as_other_class, picture
from tests.support.libraries import PIXEL, STRICT, run, sources, tool
from tests.support.patched_libraries import patched, small_network

GRAPH = small_network()
MAGNITUDE = np.abs(np.arange(256).astype(np.uint8).view(np.int8).astype(np.int16)).astype(np.uint16)
SCAN = Scan(MAGNITUDE, 62)
PLACES = StaticClasses(((OUTLIER, MIXED), (MIXED, MIXED), (MIXED, OUTLIER)))
RESIDENT = patched(GRAPH, (3, 2), HaloMode.RECOMPUTE, end=5)
PULLED = patched(GRAPH, (3, 2), HaloMode.RECOMPUTE, end=5, pulls_input=True)
KEPT = patched(GRAPH, (3, 2), HaloMode.REUSE_ROWS, end=5)
KEPT_PULLED = patched(GRAPH, (3, 2), HaloMode.REUSE_ROWS, end=5, pulls_input=True)
INNER = inner_maps(RESIDENT.stages[0].patches)
NARROW = as_other_class(GRAPH, INNER, np.random.default_rng(1), 4)
PICTURES = np.concatenate([picture((1, 13, 11, 3), np.random.default_rng(seed)) for seed in range(4)])


def classes(rule: Scan | StaticClasses) -> Branches:
    """The small network with maps of 8 bits or of 4."""
    return Branches(0, {OUTLIER: GRAPH, MIXED: NARROW}, rule)


def built(rule: Scan | StaticClasses, folder: Path, schedule=RESIDENT) -> Path:
    branches = classes(rule)
    (scores,) = interpreter_of(GRAPH, schedule, branches).run({"picture": PICTURES}).values()
    goldens = [Golden((PICTURES[i : i + 1],), (scores[i : i + 1],)) for i in range(2)]
    plan = memory.plan(GRAPH, schedule, branches)
    files = emit.render(
        GRAPH,
        plan,
        name="small",
        board="nano33ble",
        schedule=schedule,
        branches=branches,
        preprocess=PIXEL,
        goldens=goldens,
    )
    return emit.write(files, folder / "small")


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new))


def test_the_classes_of_the_test_pictures_differ():
    numbers = interpreter_of(GRAPH, RESIDENT, classes(SCAN)).numbers({"picture": PICTURES})
    assert all(0 < of_picture.mean() < 1 for of_picture in numbers)


class TestArchive:
    @pytest.mark.parametrize("rule", [SCAN, PLACES], ids=["scan", "places"])
    def test_a_network_survives(self, rule):
        branches = classes(rule)
        data = save_network(GRAPH, RESIDENT, branches)
        loaded = load_network(data)
        assert loaded.schedule == RESIDENT and loaded.branches.stage == 0
        assert tuple(loaded.branches.graphs) == tuple(branches.graphs)
        for name, graph in branches.graphs.items():
            assert dump(loaded.branches.graphs[name]) == dump(graph)
        if rule is PLACES:
            assert loaded.branches.rule == PLACES
        else:
            assert loaded.branches.rule.limit == 62
            np.testing.assert_array_equal(loaded.branches.rule.table, MAGNITUDE)
        runs = [
            interpreter_of(*each).run({"picture": PICTURES})["scores"]
            for each in ((GRAPH, RESIDENT, branches), (loaded.graph, loaded.schedule, loaded.branches))
        ]
        np.testing.assert_array_equal(*runs)
        assert save_network(loaded.graph, loaded.schedule, loaded.branches) == data

    def test_weights_are_stored_once(self):
        with zipfile.ZipFile(io.BytesIO(save_network(GRAPH, RESIDENT, classes(SCAN)))) as archive:
            own = [entry for entry in archive.infolist() if entry.filename.startswith(f"branches/{MIXED}")]
        assert len(own) == 2  # biases behind maps of another quantization: block/expand, block/project

    def test_without_classes_it_is_the_graphs(self):
        assert save_network(GRAPH, RESIDENT) == save_graph(GRAPH)
        assert load_network(save_graph(GRAPH)).branches is None

    @given(st.integers(0, 10**9), st.integers(0, 255))
    @settings(max_examples=100, deadline=None, derandomize=True)
    def test_damage_is_an_error(self, position, value):
        data = bytearray(DAMAGED)
        position %= len(data)
        data[position] = value
        for damaged in (bytes(data), bytes(data[:position])):
            try:
                load_network(damaged)
            except QmkitError as error:
                assert error.code == "damaged-library"

    @pytest.mark.parametrize(
        ("old", "new"),
        [('"stage": 0', '"stage": 1'), ('"stage": 0', '"stage": ""'), ('"limit": 62', '"limit": -1'), (MIXED, "other")],
    )
    def test_what_does_not_fit_is_an_error(self, old, new):
        with zipfile.ZipFile(io.BytesIO(DAMAGED)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        text = members["branches.json"].decode()
        assert old in text
        members["branches.json"] = text.replace(old, new).encode()
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        with pytest.raises(QmkitError, match="cannot be read") as caught:
            load_network(out.getvalue())
        assert caught.value.code == "damaged-library"


DAMAGED = save_network(GRAPH, RESIDENT, classes(SCAN))


class TestMemory:
    def test_the_arena_holds_the_worst_case(self):
        plans = [memory.plan(graph, RESIDENT) for graph in (GRAPH, NARROW)]
        assert plans[0].arena_bytes > plans[1].arena_bytes
        for rule in (SCAN, PLACES):
            assert memory.plan(GRAPH, RESIDENT, classes(rule)).arena_bytes >= plans[0].arena_bytes

    def test_scratch_that_one_class_needs(self):
        """Windows of one pixel lie in a map of 8 bits as they are; of 4 bits, they are unpacked."""
        name = "block/project"
        scratch = [memory.plan(graph, RESIDENT).stages[0].scratch for graph in (GRAPH, NARROW)]
        assert name not in scratch[0] and name in scratch[1]
        assert name in memory.plan(GRAPH, RESIDENT, classes(SCAN)).stages[0].scratch


class TestLatency:
    BOARD = catalog.find("nano33ble")

    def cycles(self, rule=None, graph=GRAPH) -> int:
        branches = rule and classes(rule)
        return estimate_latency(graph, self.BOARD, RESIDENT, memory.plan(graph, RESIDENT, branches), branches).cycles

    def places(self, name: str) -> StaticClasses:
        return StaticClasses(((name, name),) * 3)

    def test_one_class_everywhere_is_its_graph(self):
        """But for scratch, nothing around the layers depends on the class."""
        assert self.cycles(self.places(OUTLIER)) == pytest.approx(self.cycles(), abs=2)
        assert self.cycles(self.places(MIXED)) == pytest.approx(self.cycles(graph=NARROW), abs=2)

    def test_classes_by_place_lie_between(self):
        ends = sorted(self.cycles(self.places(name)) for name in (OUTLIER, MIXED))
        assert ends[0] < self.cycles(PLACES) < ends[1]

    def test_a_scan_is_the_worst_case(self):
        latency = estimate_latency(GRAPH, self.BOARD, RESIDENT, memory.plan(GRAPH, RESIDENT), classes(SCAN))
        assert latency.is_bound and not estimate_latency(GRAPH, self.BOARD, RESIDENT).is_bound
        worst = max(self.cycles(self.places(name)) for name in (OUTLIER, MIXED))
        rows, columns = 6 + 9 + 8, 6 + 10  # of 13x11x3 that windows of the patches see, as small.c says
        scan = 199.82 * 6 + 17.681 * rows * 2 + 9.9935 * rows * columns * 3
        assert latency.cycles == pytest.approx(worst + scan, rel=0.01)


class TestLibrary:
    @pytest.mark.parametrize("schedule", [RESIDENT, PULLED], ids=["resident", "pulled"])
    @pytest.mark.parametrize("rule", [SCAN, PLACES], ids=["scan", "places"])
    def test_it_verifies(self, rule, schedule, tmp_path):
        result = verify_library(built(rule, tmp_path, schedule), [PICTURES], sanitize=False)
        assert (result.mismatches, result.first_difference) == (0, None)
        assert result.vectors == 2 + 2 + 4 + 1

    def test_the_manifest_says_it_all(self, tmp_path):
        (by_scan, by_place) = (
            read_contents(built(rule, tmp_path / name)).manifest for rule, name in ((SCAN, "scan"), (PLACES, "places"))
        )
        assert [layer.class_bits for layer in by_scan.layers] == [(8, 4)] * 4 + [()] * 3
        for manifest, limit, scores, of_patch in ((by_scan, 62, 256, None), (by_place, None, 0, PLACES.names)):
            (segment,) = manifest.segments
            assert segment.classes == manifests.ClassesEntry((OUTLIER, MIXED), of_patch, limit, scores)
        two, spans = 2 * (20 + 6 * 20), (3 + 2) * 6 * 6
        assert table_bytes(by_scan.segments[0]) == two + spans + 8 + 512
        assert table_bytes(by_place.segments[0]) == two + spans + 6
        assert by_scan.weights_bytes == by_place.weights_bytes

    def test_small_constants_are_shared(self, tmp_path):
        """The stem reads the same map in both classes: its bias is one."""
        text = (built(SCAN, tmp_path) / "src" / "small" / "weights.h").read_text()
        assert "small_00_bias" in text and "small_00_mixed_bias" not in text
        assert "small_01_bias" in text and "small_01_mixed_bias" in text and "mixed_weights" not in text

    def test_more_classes_are_refused(self):
        branches = Branches(0, {OUTLIER: GRAPH, MIXED: NARROW, "third": NARROW}, PLACES)
        with pytest.raises(QmkitError) as caught:
            plan = memory.plan(GRAPH, RESIDENT, branches)
            emit.render(GRAPH, plan, name="small", board="nano33ble", schedule=RESIDENT, branches=branches)
        assert caught.value.code == "branch-classes"

    def test_what_is_settled(self):
        for name, graph in ((OUTLIER, GRAPH), (MIXED, NARROW)):
            assert settled(classes(StaticClasses(((name, name),) * 3))) == (graph, None)
        for rule in (SCAN, PLACES):
            branches = classes(rule)
            assert settled(branches) == (GRAPH, branches)


class TestCode:
    @pytest.mark.parametrize("compiler", ["gcc", "clang"])
    @pytest.mark.parametrize("rule", [SCAN, PLACES], ids=["scan", "places"])
    def test_c99_without_a_warning(self, rule, compiler, tmp_path):
        library = built(rule, tmp_path, PULLED)
        test = library / "test" / "test_golden" / "test_golden.c"
        flags = ("-std=c99", *STRICT, f"-I{library / 'src'}")
        run(tool(compiler), *flags, test, *sources(library), "-o", tmp_path / "golden")
        assert run(tmp_path / "golden") == "golden vector 0: PASS\ngolden vector 1: PASS\n"
        run(tool(compiler), *flags, "-DSMALL_TRACE", "-c", library / "src/small/small.c", "-o", tmp_path / "traced.o")

    def test_headers_are_cpp11(self, tmp_path):
        library = built(SCAN, tmp_path)
        for header in ("small.h", "small/quantmcu/core/scan.h"):
            (tmp_path / "unit.cpp").write_text(f'#include "{header}"\nint main() {{ return 0; }}\n')
            flags = ("-std=c++11", *STRICT, "-DSMALL_TRACE", f"-I{library / 'src'}")
            run(tool("g++"), *flags, "-fsyntax-only", tmp_path / "unit.cpp")

    def test_only_scans_need_the_code_of_scans(self, tmp_path):
        for rule, name in ((SCAN, "scan"), (PLACES, "places")):
            files = read_contents(built(rule, tmp_path / name)).manifest.files
            assert ("src/small/quantmcu/core/scan.c" in files) == (rule is SCAN)


class TestDifferences:
    def test_a_wrong_class_is_named(self, tmp_path):
        library = built(PLACES, tmp_path)
        change(library / "src/small/small.c", "    {0, 1},\n    {1, 1},\n", "    {0, 1},\n    {1, 0},\n")
        difference = verify_library(library, [PICTURES], sanitize=False).first_difference
        assert (difference.op, difference.y, difference.x, difference.expected, difference.got) == ("PATCH", 1, 1, 1, 0)
        assert str(difference).endswith("PATCH 'segment 0: 0 outlier, 1 mixed' at y 1, x 1: expected 1, got 0")

    def test_a_wrong_limit_is_named(self, tmp_path):
        library = built(SCAN, tmp_path)
        change(library / "src/small/small.c", "_scan = {segment_0_scores, 62, 8}", "_scan = {segment_0_scores, 0, 8}")
        difference = verify_library(library, [PICTURES], sanitize=False).first_difference
        assert (difference.op, difference.expected, difference.got) == ("PATCH", 1, 0)

    @pytest.mark.parametrize("name", [OUTLIER, MIXED])
    def test_a_layer_of_one_class_is_named(self, name, tmp_path):
        """The zero-point of one class of layer 01."""
        library = built(PLACES, tmp_path)
        source = library / "src/small/small.c"
        text = source.read_text()
        start = text.index(f"/* {name} */", text.index(" k01[2]"))
        zero = re.compile(r"\.in_zero = (-?\d+)").search(text, start)
        source.write_text(f"{text[: zero.start(1)]}{int(zero[1]) + 3}{text[zero.end(1) :]}")
        difference = verify_library(library, [PICTURES], sanitize=False).first_difference
        assert (difference.layer, difference.name, difference.branch_class) == (1, "block/expand", name)
        assert f"of {name} patches" in str(difference)
        json.dumps(dataclasses.asdict(difference))

    def test_a_layer_after_the_classes_is_named(self, tmp_path):
        library = built(SCAN, tmp_path)
        source = library / "src/small/small.c"
        text = source.read_text()
        start = text.index("k06 = {")
        zero = re.compile(r"\.zero_point = (-?\d+)").search(text, start)
        source.write_text(f"{text[: zero.start(1)]}{int(zero[1]) + 3}{text[zero.end(1) :]}")
        difference = verify_library(library, [PICTURES], sanitize=False).first_difference
        assert (difference.layer, difference.name, difference.branch_class) == (6, "scores", "")


class TestKeptRows:
    PLACES = StaticClasses(((MIXED, OUTLIER), (OUTLIER, MIXED), (MIXED, MIXED), (OUTLIER, MIXED)))

    def test_it_has_more_rows_of_patches(self):
        assert KEPT.stages[0].patches.row_steps == KEPT_PULLED.stages[0].patches.row_steps == len(self.PLACES.names)

    @pytest.mark.parametrize("schedule", [KEPT, KEPT_PULLED], ids=["resident", "pulled"])
    def test_it_verifies(self, schedule, tmp_path):
        for rule, name in ((SCAN, "scan"), (self.PLACES, "places")):
            result = verify_library(built(rule, tmp_path / name, schedule), [PICTURES], sanitize=False)
            assert (result.mismatches, result.first_difference) == (0, None)

    def test_kept_rows_are_those_of_the_common_graph(self):
        kept = [
            {life.name: life.size for life in memory.plan(GRAPH, KEPT, each).stages[0].lifetimes if "kept" in life.name}
            for each in (None, classes(self.PLACES), Branches(0, {OUTLIER: NARROW, MIXED: GRAPH}, SCAN))
        ]
        assert kept[0] == kept[1] and kept[0].keys() == kept[2].keys()
        assert all(kept[2][name] < size for name, size in kept[0].items())

    def test_only_exchanges_need_their_code(self, tmp_path):
        for schedule, name in ((RESIDENT, "recomputed"), (KEPT, "kept")):
            files = read_contents(built(SCAN, tmp_path / name, schedule)).manifest.files
            assert ("src/small/quantmcu/branches/exchange.c" in files) == (schedule is KEPT)

    @pytest.mark.parametrize("way", ["give", "take"])
    def test_a_wrong_table_is_a_difference(self, way, tmp_path):
        library = built(self.PLACES, tmp_path, KEPT)
        weights = library / "src" / "small" / "weights.c"
        table = re.compile(rf"(small_\d+_mixed_{way}\[\d+\] = {{\n)([^}}]*)}}")
        text = weights.read_text()
        assert table.search(text)
        weights.write_text(table.sub(lambda match: f"{match[1]}    0\n}}", text))
        difference = verify_library(library, [PICTURES], sanitize=False).first_difference
        assert difference is not None and 0 < difference.layer < 5

    @pytest.mark.parametrize("compiler", ["gcc", "clang"])
    def test_c99_without_a_warning(self, compiler, tmp_path):
        library = built(SCAN, tmp_path, KEPT_PULLED)
        for source in sources(library):
            run(tool(compiler), "-std=c99", *STRICT, f"-I{library / 'src'}", "-c", source, "-o", tmp_path / "unit.o")
