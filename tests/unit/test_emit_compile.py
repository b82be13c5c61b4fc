"""The generated C under strict compilers, its test, its error codes and its entry points."""

import dataclasses

import pytest

from quantmcu_kit import emit
from quantmcu_kit.ir.contract import Preprocess
from quantmcu_kit.verify import verify_library
from tests.support.libraries import STRICT, built, rendered, run, sources, tool
from tests.support.small_graphs import classifier, two_ended

IMAGENET = Preprocess("imagenet", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "--preprocess imagenet")


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    names = [f"class {i}" for i in range(16)]
    return built(classifier(), tmp_path_factory.mktemp("libraries"), preprocess=IMAGENET, class_names=names)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return built(two_ended(), tmp_path_factory.mktemp("libraries"), preprocess=None)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("name", ["library", "pair"])
def test_c99_without_a_warning(compiler, name, request, tmp_path):
    folder = request.getfixturevalue(name)
    test = folder / "test" / "test_golden" / "test_golden.c"
    include = f"-I{folder / 'src'}"
    run(tool(compiler), "-std=c99", *STRICT, include, test, *sources(folder), "-o", tmp_path / "golden")
    assert run(tmp_path / "golden") == "golden vector 0: PASS\ngolden vector 1: PASS\n"


def test_cortex_m_without_a_warning(library, tmp_path):
    for source in sources(library):
        command = (tool("arm-none-eabi-gcc"), "-std=c99", *STRICT, "-mcpu=cortex-m4", "-mthumb", "-Os")
        run(*command, "-c", source, "-o", tmp_path / "unit.o")


@pytest.mark.parametrize("name", ["library", "pair"])
def test_every_header_is_cpp11(name, request, tmp_path):
    folder = request.getfixturevalue(name)
    for header in [*(folder / "src").rglob("*.h"), folder / "test" / "test_golden" / "test_golden.h"]:
        (tmp_path / "unit.cpp").write_text(f'#include "{header}"\n#include "{header}"\nint main() {{ return 0; }}\n')
        run(tool("g++"), "-std=c++11", *STRICT, f"-I{folder / 'src'}", "-fsyntax-only", tmp_path / "unit.cpp")


def test_traced_library_without_a_warning(library, tmp_path):
    for source in sources(library):
        run(tool("gcc"), "-std=c99", *STRICT, "-DCLASSIFIER_TRACE", "-c", source, "-o", tmp_path / "unit.o")


def test_hostile_names_stay_inside_comments_and_strings(tmp_path):
    evil = '*/ #error "owned" /* \\\n??/ %s \x00 日本'
    graph = classifier(name="plain")
    nodes = [dataclasses.replace(node, name=f"{evil}{i}") for i, node in enumerate(graph.nodes)]
    ports = [dataclasses.replace(port, name=evil) for port in graph.inputs]
    hostile = dataclasses.replace(graph.replace(nodes=nodes, inputs=ports), name=evil, sha256="0" * 64)
    files = rendered(hostile, class_names=[evil] * 16, name="plain")
    folder = emit.write(files, tmp_path / "plain")
    test = folder / "test" / "test_golden" / "test_golden.c"
    run(tool("cc"), "-std=c99", *STRICT, f"-I{folder / 'src'}", test, *sources(folder), "-o", tmp_path / "golden")
    assert verify_library(folder, sanitize=False).passed


MAIN = """
#include <classifier.h>
#include <stdio.h>
#include <string.h>

static uint8_t pixels[CLASSIFIER_INPUT_BYTES];
static int8_t first[CLASSIFIER_OUTPUT_BYTES], second[CLASSIFIER_OUTPUT_BYTES];
__attribute__((aligned(CLASSIFIER_ARENA_ALIGNMENT))) static uint8_t arena[CLASSIFIER_ARENA_BYTES + 1];

int main(void)
{
    for (int i = 0; i < CLASSIFIER_INPUT_BYTES; ++i) {
        pixels[i] = (uint8_t)(37 * i);
    }
    printf("%d ", classifier_run(NULL, first));
    printf("%d ", classifier_run(pixels, NULL));
    printf("%d ", classifier_run_in_arena(NULL, sizeof arena, pixels, first));
    printf("%d ", classifier_run_in_arena(arena, CLASSIFIER_ARENA_BYTES - 1, pixels, first));
    printf("%d ", classifier_run_in_arena(arena + 1, CLASSIFIER_ARENA_BYTES, pixels, first));
    printf("%d ", classifier_run_quantized(NULL, first));
    printf("%d ", classifier_run(pixels, first));
    printf("%d ", classifier_run_in_arena(arena, CLASSIFIER_ARENA_BYTES, pixels, second));
    printf("%d ", memcmp(first, second, sizeof first));
    memset(second, 0, sizeof second);
    memcpy(classifier_input(), pixels, sizeof pixels); /* a camera may write there */
    printf("%d ", classifier_run((const uint8_t *)classifier_input(), second));
    printf("%d ", memcmp(first, second, sizeof first));
    memset(second, -128, sizeof second);
    second[3] = second[5] = 7;
    printf("%d %s", classifier_top1(second), classifier_class_names[classifier_top1(second)]);
    return 0;
}
"""


def test_entry_points_agree_and_report_errors(library, tmp_path):
    (tmp_path / "main.c").write_text(MAIN)
    command = (tool("cc"), "-std=c99", f"-I{library / 'src'}", tmp_path / "main.c", *sources(library))
    run(*command, "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-o", tmp_path / "main")
    #                                    NULL NULL NULL size align NULL | runs | in place | first of equals
    assert run(tmp_path / "main") == "-1 -1 -1 -2 -3 -1 0 0 0 0 0 3 class 3"


def test_own_arena_leaves_the_static_one_out(library, tmp_path):
    (tmp_path / "main.c").write_text(
        "#include <classifier.h>\nint8_t x[CLASSIFIER_INPUT_BYTES], y[CLASSIFIER_OUTPUT_BYTES];\n"
        "int main(void)\n{\n    return classifier_run_quantized_in_arena(0, 0, x, y);\n}\n"
    )
    objects = []
    for source in sources(library):
        objects.append(tmp_path / f"{len(objects)}.o")
        run(tool("cc"), "-std=c99", "-Os", "-c", source, "-o", objects[-1])
    run(tool("ar"), "rcs", tmp_path / "liball.a", *objects)
    run(tool("cc"), f"-I{library / 'src'}", tmp_path / "main.c", tmp_path / "liball.a", "-o", tmp_path / "main")
    symbols = run(tool("nm"), tmp_path / "main")
    assert "classifier_run_quantized_in_arena" in symbols and " arena\n" not in symbols


def test_sketch_and_board_test_are_cpp(library, tmp_path):
    """The example and the board's test compile against the smallest stand-in for Arduino."""
    (tmp_path / "Arduino.h").write_text(
        "#include <stdint.h>\n"
        "struct Port {\n  void begin(long) {}\n  operator bool() { return true; }\n"
        "  template <class T> void print(T) {}\n  template <class T> void println(T) {}\n};\n"
        "static Port Serial;\n"
        "inline uint32_t micros() { return 0; }\ninline uint32_t millis() { return 0; }\ninline void delay(int) {}\n"
    )
    sketch = library / "examples" / "classifier_image" / "classifier_image.ino"
    strict = ("-std=c++11", "-Wall", "-Wextra", "-Werror", "-DARDUINO=1", f"-I{tmp_path}", f"-I{library / 'src'}")
    run(tool("g++"), *strict, "-include", tmp_path / "Arduino.h", "-x", "c++", "-fsyntax-only", sketch)
    run(tool("g++"), *strict, "-fsyntax-only", library / "test" / "test_golden" / "test_golden_arduino.cpp")
