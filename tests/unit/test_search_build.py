"""The search problem of a graph: by hand, and against the memory planner and the patch planner at 8 bits."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from quantmcu_kit import memory, passes, tflite
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.plans import WHOLE, PrecisionPlan
from quantmcu_kit.ir.schedule import Grid, HaloMode, Schedule, Stage
from quantmcu_kit.ops.halo import map_size
from quantmcu_kit.patch.cost import node_macs
from quantmcu_kit.patch.lay_out import lay_out_segment
from quantmcu_kit.patch.segment import segment
from quantmcu_kit.quantize.ties import tie_groups
from quantmcu_kit.search.build import Wants, build
from quantmcu_kit.search.problem import Budgets, Choice, Kind, bitops
from quantmcu_kit.search.vdpc import MIXED, OUTLIER, class_shares
from quantmcu_kit.search.vdqs import Settings, vdqs
from tests.support.networks import Network, conv_chain
from tests.support.patch_tiles import tiled_macs, tiles
from tests.support.random_networks import random_maps
from tests.support.search_problems import chain, map_choice


def loaded(network, *outputs, inputs=("x",)):
    return passes.run_all(tflite.load(network.build(list(inputs), list(outputs)), name="small"))


def problem_of(graph, schedule=None, **options):
    return build(graph, tie_groups(graph), schedule, **options)


def in_patches(graph, grid, mode, *, is_pulled=False):
    piece = segment(graph, 0, len(graph.nodes))
    return Schedule((Stage(0, len(graph.nodes), lay_out_segment(graph, piece, grid, mode, is_pulled=is_pulled)),))


def widths_of(problem):
    return {(choice.branch_class, name): choice.widths for choice in problem.choices for name in choice.tensors}


def test_a_chain_by_hand():
    graph = loaded(conv_chain(3, 5, 6, 4), "t3", inputs=("t0",))
    problem = problem_of(graph, wants=Wants(weight_widths=(8, 4)))
    # The input and the output stay at 8 bits.
    assert [(c.tensors, c.widths) for c in problem.choices[:4]] == [
        (("t0",), (8,)),
        (("t1",), (8, 4, 2)),
        (("t2",), (8, 4, 2)),
        (("t3",), (8,)),
    ]
    # 3x3 convolutions over 8x8 maps.
    assert [work.macs for work in problem.works] == [64 * 5 * 27, 64 * 6 * 45, 64 * 4 * 54]
    assert [(each.inputs, each.weights, each.output) for each in problem.works] == [
        ((i,), 4 + i, i + 1) for i in range(3)
    ]
    bits = (8, 4, 2, 8, 8, 4, 4)
    # 64 pixels of 3 and of 5 · 4 bits in 3 bytes; of 6 · 2 bits in 2 bytes; of 4.
    assert [each.bytes(bits) for each in problem.neighbours] == [64 * (3 + 3), 64 * (3 + 2), 64 * (2 + 4)]
    # Rows of 27 weights of 8 bits; of 45 · 4 bits in 23 bytes; of 54 · 4 bits in 27.
    assert problem.flash_bytes(bits) == 5 * 27 + 6 * 23 + 4 * 27
    # Activations and weights as they are read.
    assert problem.total(bitops, bits) == 64 * (5 * 27 * 8 * 8 + 6 * 45 * 4 * 4 + 4 * 54 * 2 * 4)


def test_tied_maps_are_one_choice():
    network = Network()
    network.map("x", (1, 8, 8, 4))
    network.conv("x", "a", 6)
    network.pool("MAX_POOL_2D", "a", "b")
    network.conv("b", "c", 6)
    network.concatenation(["b", "c"], "d")
    network.conv("d", "e", 4)
    network.pool("MAX_POOL_2D", "e", "y")
    problem = problem_of(loaded(network, "y"))
    maps = [(set(c.tensors), c.widths) for c in problem.choices if c.kind is Kind.MAP]
    assert ({"a", "b", "c", "d"}, (8, 4, 2)) in maps
    assert ({"e", "y"}, (8,)) in maps  # tied to the output
    # What the group loses is what the member that loses most does.
    tables = {(WHOLE, name): {8: 0.0, 4: loss, 2: 9.0} for name, loss in (("a", 1.0), ("b", 3.0), ("c", 2.0))}
    (choice,) = [c for c in problem.with_losses(tables).choices if "a" in c.tensors]
    assert choice.losses == (0.0, 3.0, 9.0)


def test_a_residual_stays_alive_and_is_overwritten():
    network = Network()
    network.map("x", (1, 4, 4, 2))
    network.conv("x", "a", 8)
    network.conv("a", "b", 8)
    network.add("a", "b", "c")
    network.conv("c", "y", 2)
    problem = problem_of(loaded(network, "y"))
    index = {name: i for i, choice in enumerate(problem.choices) for name in choice.tensors}
    # 16 pixels: x 32 bytes; a, b, c 128 each at 8 bits; the sum takes the place of a.
    assert [each.bytes(problem.widest) for each in problem.neighbours] == [160, 256, 256, 160]
    bits = list(problem.widest)
    bits[index["a"]], bits[index["b"]] = 4, 2
    assert [each.bytes(bits) for each in problem.neighbours] == [96, 96, 32 + 128, 160]


def test_an_output_stays_alive_to_the_end():
    network = Network()
    network.map("x", (1, 4, 4, 2))
    network.conv("x", "early", 3)
    network.conv("early", "a", 8)
    network.conv("a", "y", 4)
    problem = problem_of(loaded(network, "early", "y"))
    assert [each.bytes(problem.widest) for each in problem.neighbours] == [16 * 5, 16 * 11, 16 * 15]
    assert widths_of(problem)[WHOLE, "early"] == (8,)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(random_maps())
def test_at_8_bits_neighbours_are_a_lower_bound_of_the_arena(graph):
    problem = problem_of(graph)
    arena = memory.plan(graph)
    assert problem.ram_bytes(problem.widest) <= arena.lower_bound_bytes
    assert sum(work.macs for work in problem.works) == sum(node_macs(graph))
    assert problem.ram_bytes(problem.narrowest) <= problem.ram_bytes(problem.widest)


def test_at_8_bits_a_chain_needs_its_arena():
    graph = loaded(conv_chain(16, 32, 16, 48), "t3", inputs=("t0",))
    problem = problem_of(graph)
    scratch = {node.name: 0 for node in graph.nodes}
    assert problem.ram_bytes(problem.widest) == 64 * (16 + 48)
    assert problem_of(graph, fixed_bytes=scratch | {graph.nodes[0].name: 5000}).ram_bytes(problem.widest) == 3072 + 5000


@settings(max_examples=60, deadline=None, derandomize=True)
@given(random_maps(), st.integers(1, 4), st.integers(1, 4), st.sampled_from(HaloMode), st.data())
def test_patches_count_what_they_compute_and_hold(graph, rows, columns, mode, data):
    piece = segment(graph, 0, len(graph.nodes))
    assume(piece is not None)
    size = map_size(graph.tensors[piece.output])
    grid = Grid(min(rows, size.h), min(columns, size.w))
    schedule = in_patches(graph, grid, mode)
    macs = tiled_macs(graph, piece, tiles(graph, piece, grid, mode))
    patches = schedule.stages[0].patches
    is_outlier = data.draw(
        st.lists(st.booleans(), min_size=patches.row_steps * patches.column_steps, max_size=10_000).map(
            lambda values: np.array(values[: patches.row_steps * patches.column_steps])
        )
    ).reshape(patches.row_steps, patches.column_steps)
    problem = problem_of(graph, schedule)
    wants = Wants(pinned=frozenset({OUTLIER}))
    classes = problem_of(graph, schedule, classes={0: class_shares(is_outlier)}, wants=wants)
    for each in (problem, classes):
        assert sum(work.macs for work in each.works) == pytest.approx(macs)
        assert each.ram_bytes(each.widest) <= memory.plan(graph, schedule).lower_bound_bytes
    for (branch_class, name), widths in widths_of(classes).items():
        inner = name not in (piece.input, piece.output) and name in patches.by_tensor
        assert inner == (branch_class in (MIXED, OUTLIER))
        assert branch_class != OUTLIER or widths == (8,)
    # An outlier patch in the set keeps RAM where it is at 8 bits.
    if is_outlier.any():
        assert classes.ram_bytes(classes.narrowest) == problem.ram_bytes(problem.widest)


@pytest.fixture(scope="module")
def bottleneck():
    """8x8x4 -> pointwise 16 -> depthwise 3x3 -> pointwise 4 -> max pool."""
    network = Network()
    network.map("x", (1, 8, 8, 4))
    network.conv("x", "wide", 16, kernel=1)
    network.depthwise("wide", "deep")
    network.conv("deep", "narrow", 4, kernel=1)
    network.fully_connected("narrow", "y", 10)
    return loaded(network, "y")


def two_stages(graph):
    """2x2 patches that recompute, then the rest."""
    piece = segment(graph, 0, 3)
    patches = lay_out_segment(graph, piece, Grid(2, 2), HaloMode.RECOMPUTE, is_pulled=False)
    return Schedule((Stage(0, 3, patches), Stage(3, len(graph.nodes), None)))


def test_classes_by_hand(bottleneck):
    shares = class_shares(np.array([[1.0, 0.25], [0.0, 0.0]]))
    wants = Wants((8, 4), pinned=frozenset({OUTLIER}))
    problem = problem_of(bottleneck, two_stages(bottleneck), classes={0: shares}, wants=wants)
    # The network's ends are fixed. narrow, where the stage ends, has one width; so has its view before the classifier.
    assert {key: widths for key, widths in widths_of(problem).items() if not key[1].endswith("/w")} == {
        (WHOLE, "x"): (8,),
        (OUTLIER, "wide"): (8,),
        (MIXED, "wide"): (8, 4),
        (OUTLIER, "deep"): (8,),
        (MIXED, "deep"): (8, 4),
        (WHOLE, "narrow"): (8, 4),
        (WHOLE, "y/row"): (8, 4),
        (WHOLE, "y"): (8,),
    }
    macs = {(work.branch_class, bottleneck.nodes[i].output): 0.0 for i in range(3) for work in problem.works}
    for work in problem.works:
        output = next(node.output for node in bottleneck.nodes if node.name == work.name)
        macs[work.branch_class, output] = work.macs
    # Of wide a patch needs 5x5 pixels, at 4 · 16 multiply-accumulates each; of narrow 4x4, at 16 · 4.
    assert macs[OUTLIER, "wide"] == 1.25 * 25 * 64
    assert macs[MIXED, "wide"] == 2.75 * 25 * 64
    assert macs[OUTLIER, "narrow"] == 1.25 * 16 * 64
    assert macs[WHOLE, "y"] == 64 * 4 * 10
    # x takes 256 bytes and narrow 128 at 4 bits; they overlap by three rows of x, 96 bytes, which the second row of
    # patches no longer needs. A patch of class mixed adds 25 · 8 bytes of wide and 16 · 8 of deep.
    taken = {(each.where, each.bytes(problem.narrowest)) for each in problem.neighbours}
    deep = bottleneck.nodes[1].name
    assert (deep, 256 + 128 - 96 + 25 * 8 + 16 * 8) in taken
    assert (deep, 256 + 128 - 96 + 25 * 16 + 16 * 16) in taken


def test_what_is_kept_stays_in_memory(bottleneck):
    """One patch per row, nothing computed twice: wide keeps three rows of 8 pixels in a ring."""
    piece = segment(bottleneck, 0, 3)
    patches = lay_out_segment(bottleneck, piece, Grid(8, 1), HaloMode.REUSE, is_pulled=False)
    schedule = Schedule((Stage(0, 3, patches), Stage(3, len(bottleneck.nodes), None)))
    problem = problem_of(bottleneck, schedule)
    ends = patches.junction_bytes
    # The last node reads a row of deep; the ring lives on beside it.
    assert problem.neighbours[2].bytes(problem.widest) == ends + 3 * 8 * 16 + 8 * 16
    # A grid of 8x8 keeps rows of wide beside a tile of 3x3 pixels.
    patches = lay_out_segment(bottleneck, piece, Grid(8, 8), HaloMode.REUSE, is_pulled=False)
    schedule = Schedule((Stage(0, 3, patches), Stage(3, len(bottleneck.nodes), None)))
    problem = problem_of(bottleneck, schedule)
    kept = 2 * 8 * 16 + 3 * 3 * 16
    assert problem.neighbours[2].bytes(problem.widest) == patches.junction_bytes + kept + 16


def test_outlier_patches_bind_where_they_do(bottleneck):
    """Patches of 8 bits need what they need: the error says that it is they."""
    shares = class_shares(np.eye(2, dtype=bool))
    wants = Wants(pinned=frozenset({OUTLIER}))
    problem = problem_of(
        bottleneck, two_stages(bottleneck), classes={0: shares}, wants=wants, budgets=Budgets(ram_bytes=9)
    )
    with pytest.raises(QmkitError) as caught:
        vdqs(problem, Settings())
    # x 256, narrow at 2 bits 64 bytes of which all may lie in the 96 that are dead, wide 25 · 16, deep 16 · 16.
    assert f" {256 + 25 * 16 + 16 * 16}," in caught.value.why
    assert caught.value.where == f"{bottleneck.nodes[1].name}, patches of class 'outlier'"


@pytest.mark.parametrize(
    "shares",
    [
        {},
        {MIXED: np.ones((2, 3))},
        {MIXED: np.full((2, 2), 0.5)},
        {MIXED: np.full((2, 2), 1.5), OUTLIER: np.full((2, 2), -0.5)},
        {MIXED: np.full((2, 2), np.nan)},
        {WHOLE: np.ones((2, 2))},
    ],
)
def test_classes_that_do_not_fit(bottleneck, shares):
    with pytest.raises(QmkitError) as caught:
        problem_of(bottleneck, two_stages(bottleneck), classes={0: shares})
    assert caught.value.code == "bad-classes"


@pytest.mark.parametrize("stage", [1, 2, -1])
def test_classes_of_a_stage_without_patches(bottleneck, stage):
    with pytest.raises(QmkitError) as caught:
        problem_of(bottleneck, two_stages(bottleneck), classes={stage: {MIXED: np.ones((2, 2))}})
    assert caught.value.code == "bad-classes"


@pytest.mark.parametrize("widths", [(), (4, 8), (8, 8), (8, 3), (16, 8)])
def test_widths_that_cannot_be(widths):
    for changes in ({"map_widths": widths}, {"weight_widths": widths}):
        with pytest.raises(QmkitError) as caught:
            Wants(**changes)
        assert caught.value.code == "bad-widths"


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_budgets_that_cannot_be(value):
    for entry in dataclasses.fields(Budgets)[:-1]:  # all but the units
        with pytest.raises(QmkitError) as caught:
            Budgets(**{entry.name: value})
        assert caught.value.code == "bad-budget"


def test_cycles_without_a_model():
    for changes in ({"by_cycles": True}, {"budgets": Budgets(cycles=10)}):
        with pytest.raises(QmkitError) as caught:
            chain(**changes)
        assert caught.value.code == "no-cycle-model"


def test_losses_that_are_missing_or_no_numbers():
    good = {8: 0.0, 4: 1.0, 2: 2.0}
    with pytest.raises(QmkitError) as caught:
        chain().with_losses({(WHOLE, "a"): good})
    assert (caught.value.code, "'b'" in caught.value.message) == ("no-loss", True)
    with pytest.raises(QmkitError) as caught:
        chain().with_losses({(WHOLE, "a"): good, (WHOLE, "b"): {8: 0.0, 4: 1.0}})
    assert caught.value.code == "no-loss"
    for value in (float("nan"), float("inf")):
        with pytest.raises(QmkitError) as caught:
            chain().with_losses({(WHOLE, "a"): good, (WHOLE, "b"): good | {2: value}})
        assert caught.value.code == "bad-loss"
    # A class without a table of its own takes that of the whole map.
    choice = Choice(Kind.MAP, MIXED, ("a",), 8, 1, (8, 4))
    problem = chain(choices=(choice,), works=(), neighbours=()).with_losses({(WHOLE, "a"): good})
    assert problem.choices[0].losses == (0.0, 1.0)


def test_plans_and_assignments():
    problem = chain()
    bits = (8, 4, 2, 8, 8, 8, 8)
    plan = problem.precision(bits)
    assert (plan.bits("a"), plan.bits("b"), plan.bits("x"), plan.weights["w1"]) == (4, 2, 8, 8)
    assert problem.assignment(plan) == bits
    with pytest.raises(QmkitError) as caught:
        problem.assignment(PrecisionPlan(8, {(WHOLE, "x"): 4}))
    assert caught.value.code == "bad-assignment"
    tied = dataclasses.replace(map_choice("a"), tensors=("a", "b"))
    with pytest.raises(QmkitError):
        chain(choices=(tied,), works=(), neighbours=()).assignment(PrecisionPlan(8, {(WHOLE, "a"): 4}))


def test_the_same_graph_gives_the_same_problem(bottleneck):
    def described():
        problem = problem_of(bottleneck, two_stages(bottleneck))
        return json.dumps([repr(problem.choices), repr(problem.works), repr(problem.neighbours)])

    assert described() == described()
