"""A picture as a whole, in rows that are asked for, in rows that are pushed: the same bytes, and the same errors."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from quantmcu_kit.host_compiler import find_compiler, sanitizer_flags, sanitizers
from quantmcu_kit.ir.schedule import HaloMode, Schedule
from quantmcu_kit.ops.interpret import Interpreter
from tests.support.libraries import PIXEL, STRICT, run, sources, tool
from tests.support.patched_libraries import built, patched, small_network

PROGRAM = Path(__file__).parents[1] / "support" / "three_ways.c"
GRAPH = small_network()
MAPS, ALL = 5, 7  # nodes that end in a map, and all of them, with a sum over the patches at the end
ARDUINO = """#include <stdint.h>
struct Port {
  void begin(long) {}
  operator bool() { return true; }
  template <class T> void print(T) {}
  template <class T> void println(T) {}
};
static Port Serial;
inline uint32_t micros() { return 0; }
inline uint32_t millis() { return 0; }
inline void delay(int) {}
"""
OK, NULL, ARENA_SIZE, ARENA_ALIGNMENT, INPUT, MORE = 0, -1, -2, -3, -4, 1


def in_patches(rows: int, columns: int, mode: HaloMode, end: int, pulls_input: bool) -> Schedule:
    return patched(GRAPH, (rows, columns), mode, end=end, pulls_input=pulls_input)


RESIDENT = {
    "whole": (Schedule.whole(GRAPH), PIXEL),
    "resident-tiles": (in_patches(3, 2, HaloMode.REUSE, MAPS, False), None),
    "resident-recomputed": (in_patches(2, 3, HaloMode.RECOMPUTE, ALL, False), PIXEL),
}
PULLED = {
    "pulled-rows": (in_patches(4, 1, HaloMode.REUSE, MAPS, True), PIXEL),
    "pulled-tiles": (in_patches(4, 3, HaloMode.REUSE, ALL, True), None),
    "pulled-kept-rows": (in_patches(2, 2, HaloMode.REUSE_ROWS, MAPS, True), PIXEL),
    "pulled-recomputed": (in_patches(4, 3, HaloMode.RECOMPUTE, MAPS, True), None),
}
LIBRARIES = RESIDENT | PULLED


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    """A library for each entry of LIBRARIES."""
    folder = tmp_path_factory.mktemp("rows")
    return {
        name: built(GRAPH, schedule, folder / name, preprocess=preprocess)
        for name, (schedule, preprocess) in LIBRARIES.items()
    }


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(4).integers(0, 256, (2, 13, 11, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def results(libraries, pictures):
    """What three_ways.c prints with each library: numbers by the first word of a line."""
    compiler = find_compiler()
    flags = ["-std=c99", "-O1", "-g1", *sanitizer_flags(sanitizers(compiler))]

    def result(name: str) -> dict[str, list[int]]:
        library, (_, preprocess) = libraries[name], LIBRARIES[name]
        own = ["-DROW_TYPE=uint8_t", "-DRUN_WHOLE=small_run"]
        if preprocess is None:
            own = ["-DROW_TYPE=int8_t", "-DRUN_WHOLE=small_run_quantized"]
        program = library.parent / "program.exe"
        compiler.compile([PROGRAM, *sources(library)], [*flags, *own, f"-I{library / 'src'}"], program)
        ran = subprocess.run([program], input=pictures.tobytes(), capture_output=True, timeout=60)
        assert ran.returncode == 0, ran.stderr.decode(errors="replace")[:2000]
        words = [line.split() for line in ran.stdout.decode().splitlines()]
        return {first: [int(word) for word in rest] for first, *rest in words}

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(libraries, pool.map(result, libraries), strict=True))


def scores(name: str, pictures: np.ndarray) -> list[list[int]]:
    """Of the integer reference."""
    _, preprocess = LIBRARIES[name]
    quantized = pictures.view(np.int8)
    if preprocess is not None:
        (table,) = preprocess.table(GRAPH.tensors["picture"].quant, 3)[:1]
        quantized = table[pictures]
    return Interpreter(GRAPH, integer=True).run({"picture": quantized})["scores"].tolist()


@pytest.mark.parametrize("name", LIBRARIES)
def test_every_way_gives_the_reference_bytes(name, results, pictures):
    first, second = scores(name, pictures)
    assert first != second
    got = results[name]
    assert got["whole_first"] == got["rows_first"] == got["interleaved_first"] == [OK, *first]
    assert got["whole_second"] == got["rows_second"] == got["interleaved_second"] == [OK, *second]
    # 12 of the 13 rows are answered by MORE; the picture after the first one needs no begin.
    assert got["push_first"] == [12, *first]
    assert got["push_second"] == got["push_anew"] == [12, *second]


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_reader_that_gives_up_ends_the_run(name, results):
    untouched = [99] * 5
    assert results[name]["gave_up_at_once"] == results[name]["gave_up"] == [INPUT, *untouched]


@pytest.mark.parametrize("name", LIBRARIES)
def test_wrong_arguments_are_errors(name, results):
    got = results[name]
    assert got["null"] == [NULL] * 6
    assert got["no_arena"] == [NULL] * 2
    assert got["small_arena"] == [ARENA_SIZE] * 2
    assert got["odd_arena"] == [ARENA_ALIGNMENT] * 2


@pytest.mark.parametrize("name", LIBRARIES)
def test_pixels_are_read_again_only_where_patches_compute_again(name, results):
    most, rows_back = results[name]["reads"]
    assert (most == 1) == (name not in ("pulled-kept-rows", "pulled-recomputed"))
    assert (rows_back == 0) == (name in RESIDENT or name == "pulled-rows")


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("name", ["resident-recomputed", "pulled-tiles", "pulled-rows"])
def test_c99_without_a_warning(compiler, name, libraries, tmp_path):
    folder = libraries[name]
    test = folder / "test" / "test_golden" / "test_golden.c"
    run(tool(compiler), "-std=c99", *STRICT, f"-I{folder / 'src'}", test, *sources(folder), "-o", tmp_path / "golden")
    assert run(tmp_path / "golden") == "golden vector 0: PASS\ngolden vector 1: PASS\n"


@pytest.mark.parametrize("name", ["resident-tiles", "pulled-recomputed"])
def test_traced_library_without_a_warning(name, libraries, tmp_path):
    source = libraries[name] / "src" / "small" / "small.c"
    run(tool("gcc"), "-std=c99", *STRICT, "-DSMALL_TRACE", "-c", source, "-o", tmp_path / "unit.o")


@pytest.mark.parametrize("name", ["resident-tiles", "pulled-rows"])
def test_cortex_m_without_a_warning(name, libraries, tmp_path):
    for source in sources(libraries[name]):
        command = (tool("arm-none-eabi-gcc"), "-std=c99", *STRICT, "-mcpu=cortex-m4", "-mthumb", "-Os")
        run(*command, "-c", source, "-o", tmp_path / "unit.o")


@pytest.mark.parametrize("trace", [(), ("-DSMALL_TRACE",)])
@pytest.mark.parametrize("name", ["resident-tiles", "pulled-rows"])
def test_headers_are_cpp11(name, trace, libraries, tmp_path):
    folder = libraries[name] / "src"
    text = "".join(f'#include "{header}"\n' * 2 for header in sorted(folder.rglob("*.h")))
    (tmp_path / "unit.cpp").write_text(text + "int main() { return 0; }\n")
    run(tool("g++"), "-std=c++11", *STRICT, *trace, f"-I{folder}", "-fsyntax-only", tmp_path / "unit.cpp")


@pytest.mark.parametrize("name", ["resident-tiles", "pulled-rows", "pulled-tiles"])
@pytest.mark.parametrize("has_goldens", [True, False])
def test_sketch_is_cpp(name, has_goldens, libraries, tmp_path):
    """Without a picture in flash, the sketch of a library that pulls its input has a function to read from a camera."""
    schedule, preprocess = LIBRARIES[name]
    library = libraries[name]
    if not has_goldens:
        library = built(GRAPH, schedule, tmp_path, preprocess=preprocess, vectors=())
    (sketch,) = library.rglob("*.ino")
    assert ("read_camera" in sketch.read_text()) == (name == "pulled-rows" and not has_goldens)
    (tmp_path / "Arduino.h").write_text(ARDUINO)
    strict = ("-std=c++11", *STRICT, "-DARDUINO=1", f"-I{tmp_path}", f"-I{library / 'src'}")
    run(tool("g++"), *strict, "-include", tmp_path / "Arduino.h", "-x", "c++", "-fsyntax-only", sketch)
    if has_goldens:
        run(tool("g++"), *strict, "-fsyntax-only", library / "test" / "test_golden" / "test_golden_arduino.cpp")
