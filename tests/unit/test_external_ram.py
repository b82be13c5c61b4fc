"""Maps in external RAM: the same bytes, and an error where the memory was not given."""

import subprocess

import pytest

from quantmcu_kit import emit, memory
from quantmcu_kit.verify import verify_library
from tests.support.libraries import PIXEL, STRICT, run, sources, tool
from tests.support.small_graphs import classifier

PROGRAM = """#include <classifier.h>
static uint8_t pixels[CLASSIFIER_INPUT_BYTES];
static int8_t scores[CLASSIFIER_OUTPUT_BYTES];
static int8_t external[CLASSIFIER_EXTERNAL_BYTES];
int main(void)
{
    if (classifier_run(pixels, scores) != CLASSIFIER_ERROR_NULL) {
        return 1;
    }
    classifier_use_external(external);
    return classifier_run(pixels, scores) == CLASSIFIER_OK ? 0 : 2;
}
"""


@pytest.fixture(scope="module", params=[0, 200])
def library(request, tmp_path_factory):
    """A classifier whose maps are outside the arena, all of them or some."""
    graph = classifier()
    plan = memory.plan(graph, internal_bytes=request.param)
    assert 0 < plan.external_bytes and len(plan.stages[0].external) <= len(graph.feature_maps())
    files = emit.render(graph, plan, name="classifier", board="esp32cam", preprocess=PIXEL)
    return emit.write(files, tmp_path_factory.mktemp("external") / "classifier")


def test_bytes_are_those_of_the_reference(library):
    result = verify_library(library)
    assert result.passed, result.first_difference


def test_memory_must_be_given_first(library, tmp_path):
    (tmp_path / "main.c").write_text(PROGRAM)
    run(tool("gcc"), "-std=c99", *STRICT, "-I", library / "src", tmp_path / "main.c", *sources(library), "-o",
        tmp_path / "program")  # fmt: skip
    assert subprocess.run([tmp_path / "program"]).returncode == 0
