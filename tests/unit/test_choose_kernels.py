"""Which kernel runs a layer: the fastest by the table, on cores that have one, alike in all classes."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from quantmcu_kit import memory
from quantmcu_kit.boards.catalog import find
from quantmcu_kit.emit import choose_kernels as choice
from quantmcu_kit.emit.choose_kernels import choose_branch_kernels, choose_kernels
from quantmcu_kit.emit.latency import estimate_latency, knows_works, node_work, patch_costs
from quantmcu_kit.ir.branches import Branches, StaticClasses
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import MIXED, OUTLIER
from quantmcu_kit.ir.schedule import Grid, HaloMode, Schedule, Stage
from quantmcu_kit.ir.text import dump
from quantmcu_kit.ir.types import Activation, Padding, Quant, Size
from quantmcu_kit.layout import lay_out
from quantmcu_kit.ops import convolution, fully_connected, reshape
from quantmcu_kit.ops.interpret import kernel_calls, prepare_node
from quantmcu_kit.ops.serialize import load_graph, save_graph
from quantmcu_kit.ops.variants import VARIANTS
from quantmcu_kit.options import Options
from quantmcu_kit.patch.lay_out import lay_out_segment
from quantmcu_kit.patch.segment import segment
from tests.bench.kernel_cases import Case
from tests.bench.latency_grid import MAP, OTHER, Layers, packed_binary

CORE = "cortex-m4f"
BOARD = find("nano33ble")


def pointwise(widths: tuple[int, int] = (8, 8), *, is_signed: bool = False) -> Graph:
    """A layer that variants run several times as fast as the portable kernel."""
    layers = Layers("layer")
    Case("", "CONV_2D", (9, 9, 40), 24).layer(layers, widths, is_signed=is_signed)
    return layers.graph()


def kernels(graph: Graph) -> list[str]:
    return [node.kernel for node in graph.nodes]


def costs(graph: Graph, index: int) -> dict[str, float]:
    """Modelled cycles of a node by every kernel that can run it."""
    node = graph.nodes[index]
    names = ["", *(v.name for v in VARIANTS.values() if node.op in v.ops and v.supports(prepare_node(graph, node)))]
    found = {}
    for name in names:
        nodes = [dataclasses.replace(each, kernel=name) if each is node else each for each in graph.nodes]
        found[name] = patch_costs(graph.replace(nodes=nodes), CORE).whole[index]
    return found


@pytest.mark.parametrize("widths", [(8, 8), (4, 8), (4, 4), (2, 4), (2, 2)])
def test_the_fastest_by_the_table(widths):
    graph = pointwise(widths)
    index = next(index for index, node in enumerate(graph.nodes) if node.op == "CONV_2D")
    by_kernel = costs(graph, index)
    chosen = kernels(choose_kernels(graph, CORE))[index]
    assert chosen and by_kernel[chosen] == min(by_kernel.values())


@pytest.mark.parametrize("core", ["cortex-m4f", "cortex-m7", "cortex-m33"])
@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("op", ["CONV_2D", "DEPTHWISE_CONV_2D"])
def test_the_table_knows_all_that_variants_do(op, kernel, core):
    """What it did not know would cost nothing, and be chosen."""
    for stride, (weight_bits, map_bits) in itertools.product((1, 2, 3), itertools.product((8, 4, 2), repeat=2)):
        layers = Layers("layer")
        Case("", op, (11, 9, 16), 16, kernel, stride).layer(layers, (weight_bits, map_bits), is_signed=False)
        graph = layers.graph()
        (index,) = (index for index, node in enumerate(graph.nodes) if node.op == op)
        for variant in VARIANTS.values():
            node = dataclasses.replace(graph.nodes[index], kernel=variant.name)
            if op in variant.ops and variant.supports(prepare_node(graph, node)):
                works = node_work(graph, Schedule.whole(graph).stages[0], index, kernel_calls(graph, node))
                assert knows_works(works, core), (variant.name, stride, weight_bits, map_bits)


@pytest.mark.parametrize("core", ["cortex-m4f", "cortex-m7", "cortex-m33"])
@pytest.mark.parametrize("widths", list(itertools.product((8, 4, 2), repeat=3)), ids=str)
def test_sums_are_priced_by_their_widths(widths, core):
    """Of packed maps by tables, six cycles a value at 4 bits; others are unpacked. Searches are told the same."""
    layers = Layers("sums")
    packed_binary(layers, "ADD", (layers.map(8, 8, 32), layers.map(8, 8, 32, quant=OTHER)), widths)
    graph = layers.graph()
    (index,) = (index for index, node in enumerate(graph.nodes) if node.op == "ADD")
    chosen = choose_kernels(graph, core)
    assert kernels(chosen)[index] == ("binary_table" if max(widths[:2]) < 8 else "")
    cycles = patch_costs(chosen, core).whole[index]
    assert cycles == pytest.approx(choice.fewest_cycles(graph, index, core, core))
    per_value = cycles / (8 * 8 * 32)
    if widths == (4, 4, 4):
        assert 3 < per_value < 7
    assert per_value < (17 if max(widths[:2]) < 8 else 40)


@pytest.mark.parametrize("outputs", [2, 128])
def test_few_outputs_have_a_kernel_of_their_own(outputs):
    layers = Layers("few")
    Case("", "FULLY_CONNECTED", (1, 1, 256), outputs).layer(layers, (4, 4), is_signed=False)
    name = "fully_connected_few" if outputs == 2 else "fully_connected_fields"
    assert name in kernels(choose_kernels(layers.graph(), CORE))


def test_a_variant_with_unknown_work_is_not_chosen(monkeypatch):
    monkeypatch.setattr(choice, "knows_works", lambda works, core: "conv_pairs" not in works)
    graph = pointwise()
    assert kernels(choose_kernels(graph, CORE)) == kernels(graph)


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m3", "xtensa-lx7"])
def test_cores_without_variants_keep_the_graph_as_it_is(core):
    graph = pointwise()
    assert choose_kernels(graph, core) is graph


def test_choice_shows_in_the_estimate():
    graph = pointwise()
    fast, slow = (estimate_latency(each, BOARD).cycles for each in (choose_kernels(graph, CORE), graph))
    assert 2 * fast < slow


def test_kernels_survive_the_archive_and_are_shown():
    graph = choose_kernels(pointwise(), CORE)
    assert kernels(load_graph(save_graph(graph))) == kernels(graph)
    assert f"by {graph.nodes[0].kernel}\n" in dump(graph)
    plain = pointwise()
    assert b'"kernel"' not in save_graph(plain) and " by " not in dump(plain)


def ended(quant: Quant = MAP) -> Graph:
    """Two convolutions and a fully-connected layer over all their pixels.

    Args:
        quant: of the map between the convolutions.
    """
    layers = Layers("ended")
    x = layers.map(6, 6, 8)
    attrs = convolution.Attrs(Size(1, 1), Size(1, 1), Padding(1, 1, 1, 1), Activation.NONE)
    for inner, outer, each in ((8, 16, quant), (16, 16, MAP)):
        x = layers.layer("CONV_2D", attrs, x, layers.weights((outer, 3, 3, inner), 0), layers.bias(outer), quant=each)
    row = layers.layer("RESHAPE", reshape.Attrs((1, x.elements)), x, quant=x.quant)
    weights = layers.weights((16, x.elements), 0)
    layers.layer(
        "FULLY_CONNECTED", fully_connected.Attrs(False, Activation.NONE), row, weights, layers.bias(16), quant=OTHER
    )
    return layers.graph()


def in_patches(graph: Graph, end: int) -> Schedule:
    patches = lay_out_segment(graph, segment(graph, 0, end), Grid(3, 3), HaloMode.RECOMPUTE, is_pulled=False)
    stages = (Stage(0, end, patches), Stage(end, len(graph.nodes), None))
    return Schedule(stages if end < len(graph.nodes) else stages[:1])


def test_pixels_of_patches_are_added_up_by_the_portable_kernel():
    graph = ended()
    assert kernels(choose_kernels(graph, CORE)) == ["conv_pairs", "conv_pairs", "", "fully_connected_pairs"]
    schedule = in_patches(graph, 4)
    assert schedule.stages[0].patches.accumulates
    assert kernels(choose_kernels(graph, CORE, schedule)) == ["conv_pairs", "conv_pairs", "", ""]


def test_classes_run_by_the_same_kernels():
    """In one class the map between the convolutions is so fine that sums are shifted left, which no variant does."""
    graph = ended()
    coarse = ended(Quant.per_tensor(float(MAP.s) * 0.001, -11))
    schedule = in_patches(graph, 2)
    names = StaticClasses(((OUTLIER, MIXED, MIXED),) * 3)
    alike = choose_branch_kernels(Branches(0, {OUTLIER: graph, MIXED: graph}, names), CORE, schedule)
    assert kernels(alike.common) == ["conv_pairs", "conv_pairs", "", "fully_connected_pairs"]
    mixed = choose_branch_kernels(Branches(0, {OUTLIER: graph, MIXED: coarse}, names), CORE, schedule)
    for each in mixed.graphs.values():
        assert kernels(each) == ["", "conv_pairs", "", "fully_connected_pairs"]


def test_scratch_that_does_not_fit_leaves_portable_kernels():
    """With too little RAM for the node that needs most, it becomes portable and the others stay as they are."""
    options = Options(board=BOARD.id, patches="off")
    free = lay_out(ended(), BOARD, options).graph
    alive = memory.bytes_alive(free)
    largest = max(range(len(alive)), key=alive.__getitem__)
    tight = lay_out(ended(), BOARD, dataclasses.replace(options, ram=max(alive) - 1))
    assert tight.memory.arena_bytes < max(alive)
    expected = kernels(free)
    assert expected[largest] == "conv_pairs"
    expected[largest] = ""
    assert kernels(tight.graph) == expected


def test_without_ram_for_scratch_all_kernels_are_portable():
    ram = memory.plan(ended()).arena_bytes
    tight = lay_out(ended(), BOARD, Options(board=BOARD.id, patches="off", ram=ram))
    assert tight.memory.arena_bytes <= ram
    assert set(kernels(tight.graph)) == {""}


def narrowing() -> Graph:
    """A convolution of large maps, one to small maps, and one of small maps."""
    layers = Layers("narrowing")
    x = layers.map(12, 12, 8)
    for inner, stride in ((8, 1), (16, 4), (16, 1)):
        attrs = convolution.Attrs(Size(stride, stride), Size(1, 1), Padding(1, 1, 1, 1), Activation.NONE)
        x = layers.layer("CONV_2D", attrs, x, layers.weights((16, 3, 3, inner), 0), layers.bias(16), quant=MAP)
    return layers.graph()


@pytest.mark.parametrize("patches", ["off", "auto"])
def test_least_ram_is_that_of_portable_kernels(patches):
    """A core without variants needs no less; fast kernels run where the largest layer leaves them room."""
    options = Options(board=BOARD.id, patches=patches, optimize="ram", input="rows" if patches == "auto" else "arena")
    portable, least = (lay_out(narrowing(), board, options) for board in (find("pico"), BOARD))
    fastest = lay_out(narrowing(), BOARD, Options(board=BOARD.id, patches="off"))
    assert set(kernels(portable.graph)) == {""}
    assert set(kernels(fastest.graph)) == {"conv_pairs"}
    assert portable.memory.arena_bytes == least.memory.arena_bytes < fastest.memory.arena_bytes
    if patches == "off":
        assert kernels(least.graph) == ["", "", "conv_pairs"]
