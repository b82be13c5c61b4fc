"""Libraries with maps and weights of 4 and 2 bits: what they say, what compiles, and what verification finds."""

import dataclasses
import shutil

import numpy as np
import pytest

from quantmcu_kit.ir.graph import Graph, Node
from quantmcu_kit.ir.schedule import HaloMode, Schedule
from quantmcu_kit.ir.types import Activation
from quantmcu_kit.ops import add, concatenation, reshape
from quantmcu_kit.ops.interpret import Interpreter
from quantmcu_kit.ops.serialize import load_graph, save_graph
from quantmcu_kit.verify import HostLibrary, verify_library
from quantmcu_kit.verify.contents import read_contents
from quantmcu_kit.verify.host import Mode
from tests.support import libraries, patched_libraries
from tests.support.libraries import STRICT, run, sources, tool
from tests.support.packed_networks import narrowed
from tests.support.small_graphs import GraphBuilder

BITS = {"stem": 4, "stem/w": 4, "left": 4, "left/w": 2, "right": 4, "right/w": 8, "joined": 4, "sum": 2, "back": 2}
BITS |= {"flat": 2, "scores/w": 4}


def network() -> Graph:
    """13x11x3 -> 7x6x5 -> two branches, joined to 7x6x9 -> 7x6x5 -> a sum with the stem -> a view -> 3 values."""
    builder = GraphBuilder("small")
    x = builder.feature_map("picture", (1, 13, 11, 3))
    stem = builder.conv(x, "stem", 5, stride=2)
    parts = builder.conv(stem, "left", 4), builder.conv(stem, "right", 5, kernel=1)
    x = builder.node("CONCATENATION", "joined", (1, 7, 6, 9), concatenation.Attrs(3), *parts, like="left")
    x = builder.conv(x, "back", 5)
    x = builder.node("ADD", "sum", (1, 7, 6, 5), add.Attrs(Activation.NONE), stem, x)
    x = builder.node("RESHAPE", "flat", (1, 210), reshape.Attrs((1, 210)), x, like="sum")
    row = builder.node("RESHAPE", "one pixel", (1, 1, 1, 210), reshape.Attrs((1, 1, 1, 210)), x, like="sum")
    graph = builder.build(("picture",), (builder.conv(row, "scores", 3, kernel=1),))
    graph = narrowed(graph, np.random.default_rng(1), BITS | {"one pixel": 4})
    like = {name: graph.tensors["joined"].quant for name in ("left", "right")}  # they become it without a table
    joinable = {name: dataclasses.replace(graph.tensors[name], quant=quant) for name, quant in like.items()}
    return graph.replace(nodes=map(_unclamped, graph.nodes), tensors={**graph.tensors, **joinable})


def _unclamped(node: Node) -> Node:
    """A convolution that uses all values of its output."""
    if node.op != "CONV_2D":
        return node
    return dataclasses.replace(node, attrs=dataclasses.replace(node.attrs, activation=Activation.NONE))


GRAPH = network()
PICTURES = np.random.default_rng(5).integers(-128, 128, (300, 13, 11, 3)).astype(np.int8)
SCHEDULES = {
    "whole": Schedule.whole(GRAPH),
    "keeping": patched_libraries.patched(GRAPH, (2, 3), HaloMode.REUSE, end=6, pulls_input=True),
    "overlapping": patched_libraries.patched(GRAPH, (2, 3), HaloMode.RECOMPUTE, end=6),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    tool("cc")
    folder = tmp_path_factory.mktemp("packed")
    return {name: patched_libraries.built(GRAPH, schedule, folder / name) for name, schedule in SCHEDULES.items()}


@pytest.fixture(params=SCHEDULES)
def library(request, built, tmp_path):
    """A copy to damage."""
    return shutil.copytree(built[request.param], tmp_path / "small")


def tampered(library, layer, change):
    """The library with another first pixel of a layer's output, or of its part: ``change`` is done to its bytes."""
    source = library / "src/small/small.c"
    lines = source.read_text().splitlines()
    index = next(i for i, line in enumerate(lines) if f"TRACE({layer}, " in line or f"TRACE_PART({layer}, " in line)
    if "TRACE_PART" in lines[index]:
        pixel = "qmcu_target_pixel(&part.out, part.region.top, part.region.left)"
    else:
        pixel = lines[index].split(f"TRACE({layer}, ")[1].split(",")[0]
    place = lines[index].index("TRACE")
    lines[index] = f"{lines[index][:place]}{{ int8_t *p = {pixel}; {change} }} {lines[index][place:]}"
    source.write_text("\n".join(lines))


def test_network_comes_back(built):
    graph = read_contents(built["whole"]).graph
    assert {name: tensor.dtype for name, tensor in graph.tensors.items()} == {
        name: tensor.dtype for name, tensor in GRAPH.tensors.items()
    }
    assert save_graph(graph) == save_graph(GRAPH) == save_graph(load_graph(save_graph(GRAPH)))


def test_a_sound_library_passes(library):
    result = verify_library(library, [PICTURES[:20]])
    assert result.passed and result.vectors == 24


def test_the_place_of_a_wrong_value_is_named(library):
    """Not that of its byte: the stem's first pixel has channels 0 and 1 in its first byte."""
    tampered(library, 0, "p[0] = (int8_t)(p[0] ^ 0x30);")
    difference = verify_library(library, [PICTURES], sanitize=False).first_difference
    assert (difference.layer, difference.op, difference.channel) == (0, "CONV_2D", 1)
    assert difference.got == difference.expected ^ 3


def test_bits_that_no_channel_has_are_not_compared(library):
    """Five channels of 4 bits leave half a byte, of 2 bits three quarters of one; nobody may read these."""
    tampered(library, 0, "p[2] = (int8_t)(p[2] ^ 0xF0);")
    tampered(library, 5, "p[1] = (int8_t)(p[1] ^ 0xA4);")
    assert verify_library(library, sanitize=False).passed


def test_a_wrong_value_of_two_bits_is_named(library):
    tampered(library, 5, "p[1] = (int8_t)(p[1] ^ 2);")
    difference = verify_library(library, [PICTURES], sanitize=False).first_difference
    assert (difference.layer, difference.op, difference.channel) == (5, "ADD", 4)


def test_traced_values_are_the_interpreters(library):
    picture = np.random.default_rng(8).integers(-128, 128, (1, 13, 11, 3)).astype(np.int8)
    expected = Interpreter(GRAPH, integer=True, keep_all=True).run({"picture": picture})
    with HostLibrary(library, Mode.TRACE) as host:
        traced = host.trace(picture).layers
    indices = {layer.index for layer in traced}
    # Layers 1 and 2 write into the joined map where they run whole; layer 7 is a view of layer 6's bytes or not.
    assert indices >= {0, 3, 4, 5, 6, 8}
    for layer in traced:
        values = expected[GRAPH.nodes[layer.index].output]
        assert layer.shape == values.shape
        np.testing.assert_array_equal(layer.over(values), values)
        assert layer.over(np.zeros_like(values)).dtype == values.dtype


def test_comments_name_widths(built):
    text = (built["whole"] / "src/small/small.c").read_text()
    assert "13x11x3 s8 -> 7x6x5 u4   weights s4 per channel" in text
    assert "7x6x5 u4 -> 7x6x4 u4   weights s2 per channel" in text
    assert "7x6x5 u4 + 7x6x5 u2 -> 7x6x5 u2" in text


def test_constants_take_their_packed_size(built):
    layers = {layer.name: layer for layer in read_contents(built["whole"]).manifest.layers}
    text = (built["whole"] / "src/small/weights.c").read_text()
    # A row of weights of an output channel begins in a byte of its own: 27 of 4 bits, 45 of 2 bits.
    assert "small_00_weights[70]" in text and "small_01_weights[48]" in text and "small_02_weights[25]" in text
    assert (layers["stem"].bits, layers["sum"].bits, layers["scores"].bits) == (4, 2, 8)


def test_only_packed_networks_have_code_for_packing(built, tmp_path):
    packed = {path.name for path in sources(built["whole"])}
    assert {"pack_ref.c", "matvec_packed_ref.c"} <= packed
    plain = libraries.built(patched_libraries.small_network(), tmp_path, vectors=())
    names = {path.name for path in sources(plain)}
    assert not names & {"pack_ref.c", "matvec_packed_ref.c"}
    for library, is_packed in ((built["whole"], 1), (plain, 0)):
        (namespace,) = library.rglob("namespace.h")
        assert ("QMCU_PACKED 0" in namespace.read_text()) == (not is_packed)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_c99_without_a_warning(compiler, name, built, tmp_path):
    folder = built[name]
    test = folder / "test" / "test_golden" / "test_golden.c"
    run(tool(compiler), "-std=c99", *STRICT, f"-I{folder / 'src'}", test, *sources(folder), "-o", tmp_path / "golden")
    assert run(tmp_path / "golden") == "golden vector 0: PASS\ngolden vector 1: PASS\n"
    traced = folder / "src" / "small" / "small.c"
    run(tool(compiler), "-std=c99", *STRICT, "-DSMALL_TRACE", "-c", traced, "-o", tmp_path / "unit.o")


@pytest.mark.parametrize("name", ["whole", "keeping"])
def test_cortex_m_without_a_warning(name, built, tmp_path):
    for source in sources(built[name]):
        command = (tool("arm-none-eabi-gcc"), "-std=c99", *STRICT, "-mcpu=cortex-m4", "-mthumb", "-Os")
        run(*command, "-c", source, "-o", tmp_path / "unit.o")


def test_headers_are_cpp11(built, tmp_path):
    folder = built["keeping"] / "src"
    text = "".join(f'#include "{header}"\n' * 2 for header in sorted(folder.rglob("*.h")))
    (tmp_path / "unit.cpp").write_text(text + "int main() { return 0; }\n")
    run(tool("g++"), "-std=c++11", *STRICT, f"-I{folder}", "-fsyntax-only", tmp_path / "unit.cpp")
