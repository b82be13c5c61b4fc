"""Two generated libraries live in one program: symbols, headers and include order."""

import itertools
import re

import numpy as np
import pytest

from quantmcu_kit.ops.interpret import Interpreter
from tests.support.libraries import STRICT, built, run, sources, tool
from tests.support.small_graphs import classifier

NAMES = ("first", "second")
GRAPHS = {name: classifier(seed, name) for seed, name in enumerate(NAMES)}


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lib with space")
    return {name: built(graph, folder) for name, graph in GRAPHS.items()}


def scores(graph) -> list[int]:
    """Of the picture that the program below makes."""
    pixels = (np.arange(192) * 37 % 256).astype(np.uint8).reshape(1, 8, 8, 3)
    quantized = (pixels ^ 0x80).view(np.int8)
    return Interpreter(graph, integer=True).run({"picture": quantized})["scores"].reshape(-1).tolist()


PROGRAM = """
#include <{0}.h>
#include <{1}.h>
#include <stdio.h>

int main(void)
{{
    static uint8_t pixels[FIRST_INPUT_BYTES];
    static int8_t scores[FIRST_OUTPUT_BYTES];
    for (int i = 0; i < FIRST_INPUT_BYTES; ++i) {{
        pixels[i] = (uint8_t)(37 * i);
    }}
    first_run(pixels, scores);
    for (int i = 0; i < FIRST_OUTPUT_BYTES; ++i) {{
        printf("%d ", scores[i]);
    }}
    second_run(pixels, scores);
    for (int i = 0; i < SECOND_OUTPUT_BYTES; ++i) {{
        printf("%d ", scores[i]);
    }}
    return 0;
}}
"""


@pytest.mark.parametrize("order", list(itertools.permutations(NAMES)), ids="-".join)
@pytest.mark.parametrize("language", ["c", "c++"])
def test_both_compute_their_own_network(libraries, order, language, tmp_path):
    includes = [f"-I{libraries[name] / 'src'}" for name in order]
    main = tmp_path / ("main.c" if language == "c" else "main.cpp")
    main.write_text(PROGRAM.format(*order))
    objects = []
    for name in order:
        for source in sources(libraries[name]):
            objects.append(tmp_path / f"{len(objects)}.o")
            run(tool("cc"), "-std=c99", *STRICT, *includes, "-c", source, "-o", objects[-1])
    compiler = (tool("cc"), "-std=c99") if language == "c" else (tool("g++"), "-std=c++11")
    run(*compiler, *STRICT, *includes, main, *objects, "-o", tmp_path / "program")
    printed = [int(number) for number in run(tmp_path / "program").split()]
    assert printed == scores(GRAPHS["first"]) + scores(GRAPHS["second"])
    assert scores(GRAPHS["first"]) != scores(GRAPHS["second"])


def test_every_symbol_carries_its_librarys_name(libraries, tmp_path):
    for name, library in libraries.items():
        for source in sources(library):
            run(tool("cc"), "-std=c99", "-c", source, "-o", tmp_path / "unit.o")
            for line in run(tool("nm"), "-g", "--defined-only", tmp_path / "unit.o").splitlines():
                assert re.sub("^_", "", line.split()[-1]).startswith(f"{name}_"), (source, line)


def test_includes_inside_a_library_are_relative(libraries):
    for library in libraries.values():
        for path in (library / "src").rglob("*.[ch]"):
            for target in re.findall(r'^#include "([^"]+)"', path.read_text(), re.MULTILINE):
                assert (path.parent / target).resolve().is_relative_to(library / "src"), (path, target)
                assert (path.parent / target).is_file(), (path, target)
