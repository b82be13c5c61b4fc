"""The plan that a build uses: objectives, budgets, forced grids, and what errors say."""

import pytest

from quantmcu_kit import passes, tflite
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.schedule import Grid, HaloMode
from quantmcu_kit.options import Options
from quantmcu_kit.patch.choose import Wishes, arena_bytes, choose
from quantmcu_kit.patch.cost import Costs, NodeCost
from quantmcu_kit.patch.plan_file import Entry, PlanFile
from tests.support.networks import Network


def loaded(network, output, inputs=("x",)):
    return passes.run_all(tflite.load(network.build(list(inputs), [output]), name="small"))


@pytest.fixture(scope="module")
def graph():
    """16x16x3 -> 3x3 to 16 channels -> depthwise -> pointwise to 4: 768, 4096, 4096 and 1024 bytes."""
    network = Network()
    network.map("x", (1, 16, 16, 3))
    network.conv("x", "wide", 16)
    network.depthwise("wide", "deep")
    return loaded(network, network.conv("deep", "narrow", 4, kernel=1))


WHOLE = 2 * 4096  # two wide maps beside each other


def test_what_fits_runs_layer_by_layer(graph):
    for budget in (None, WHOLE):
        choice = choose(graph, None, Wishes(ram_bytes=budget))
        assert choice.fits and not choice.plan.is_patched and choice.plan.ram_bytes == WHOLE
    assert [(s.segment.start, s.segment.end) for s in choice.plan.stretches] == [(0, 3)]


def test_a_byte_less_needs_patches_at_no_more_work(graph):
    choice = choose(graph, None, Wishes(ram_bytes=WHOLE - 1))
    assert choice.fits and choice.plan.is_patched and not choice.plan.pulls_input
    assert arena_bytes(choice.plan) <= WHOLE - 1 and choice.plan.macs == choice.whole.macs


def test_the_input_is_pulled_only_where_nothing_else_fits(graph):
    resident = choose(graph, None, Wishes(optimize="ram", input="arena")).plan
    pulled = choose(graph, None, Wishes(optimize="ram", input="rows")).plan
    assert pulled.pulls_input and pulled.ram_bytes < resident.ram_bytes
    at = choose(graph, None, Wishes(ram_bytes=arena_bytes(resident)))
    below = choose(graph, None, Wishes(ram_bytes=arena_bytes(resident) - 1))
    assert not at.plan.pulls_input and below.plan.pulls_input and below.fits


def test_least_ram_within_a_cost_limit(graph):
    free = choose(graph, None, Wishes(optimize="ram", input="rows"))
    bound = choose(graph, None, Wishes(optimize="ram", input="rows", cost_limit=1.0))
    assert free.plan.ram_bytes == free.front[0].ram_bytes == min(plan.ram_bytes for plan in free.front)
    assert bound.plan.cost == bound.whole.cost and bound.plan.ram_bytes >= free.plan.ram_bytes


def test_calls_make_patches_dear(graph):
    """Of plans that fit, the one with the fewest calls: two patches of three nodes where one call costs all MACs."""
    nodes = {node.name: NodeCost(1.0, 1.0) for node in graph.nodes}
    choice = choose(graph, Costs(nodes), Wishes(ram_bytes=WHOLE - 1))
    calls = [s.grid.rows * s.grid.columns for s in choice.plan.stretches if s.grid]
    assert max(calls) <= 2 and choice.plan.cost > choice.whole.cost == 3.0


def test_copied_bytes_by_hand(graph):
    """2x2 patches, rows and columns kept."""
    nodes = {node.name: NodeCost(0.0) for node in graph.nodes}
    file = PlanFile((Entry(0, 3, Grid(2, 2), HaloMode.REUSE),), "arena")
    plan = choose(graph, Costs(nodes, byte=1.0), Wishes(patches=file)).plan
    # wide, 16 channels, in three steps of rows and of columns: 0..1, 1..9 and 9..16, where two stay for the last.
    # Put away, over 16 columns: row 0, then rows 7 and 8. They all come back.
    # Within the tile, 2 columns move once per row of patches, in 1, 9 and 9 rows.
    assert plan.cost == 16 * (3 * 16 + 3 * 16 + 2 * (1 + 9 + 9))
    with_calls = choose(graph, Costs(nodes, enter=1.0, leave=10.0, patch=100.0), Wishes(patches=file)).plan
    assert with_calls.cost == 9 * (1 + 10 + 100)  # wide enters and leaves in each of nine patches


def test_a_board_too_small_gets_the_least_plan_flagged(graph):
    choice = choose(graph, None, Wishes(ram_bytes=100))
    assert not choice.fits
    assert choice.plan.ram_bytes == choose(graph, None, Wishes(optimize="ram", input="rows")).plan.ram_bytes


def test_a_budget_that_nothing_meets_says_who_holds_it(graph):
    least = arena_bytes(choose(graph, None, Wishes(optimize="ram", input="rows")).plan)
    with pytest.raises(QmkitError) as error:
        choose(graph, None, Wishes(ram_bytes=100, must_fit=True))
    assert error.value.code == "ram-budget" and f"{least:,}" in error.value.message
    assert error.value.where.startswith("layer ") and " B)" in error.value.why
    with pytest.raises(QmkitError) as error:
        choose(graph, None, Wishes(patches="off", ram_bytes=WHOLE - 1, must_fit=True))
    assert "8,192" in error.value.message and "layer 01 " in error.value.where and "DEPTHWISE" in error.value.where
    assert "wide (4,096 B)" in error.value.why and "deep (4,096 B)" in error.value.why
    assert "--patches auto" in error.value.hint


def test_one_grid_at_the_beginning(graph):
    choice = choose(graph, None, Wishes(patches=Grid(4, 2), halo=HaloMode.RECOMPUTE, optimize="ram"))
    first, *rest = choice.plan.stretches
    assert (first.grid, first.mode, first.segment.start) == (Grid(4, 2), HaloMode.RECOMPUTE, 0)
    assert all(stretch.grid is None for stretch in rest) and len(rest) <= 1


def test_a_grid_finer_than_the_map(graph):
    with pytest.raises(QmkitError) as error:
        choose(graph, None, Wishes(patches=Grid(17, 2)))
    assert error.value.code == "bad-patches" and "16x16" in error.value.why and "16x2" in error.value.hint


def test_a_network_that_cannot_begin_in_patches():
    network = Network()
    network.map("x", (1, 6, 5, 2))
    graph = loaded(network, network.fully_connected(network.mean("x", "mean", (1, 2)), "y", 3))
    with pytest.raises(QmkitError) as error:
        choose(graph, None, Wishes(patches=Grid(2, 2)))
    assert error.value.code == "bad-patches" and "(MEAN)" in error.value.why and "node 0" in error.value.why
    with pytest.raises(QmkitError) as error:
        choose(graph, None, Wishes(input="rows"))
    assert error.value.code == "bad-patches"


def test_several_inputs_run_whole():
    network = Network()
    network.map("x", (1, 8, 8, 4))
    network.map("z", (1, 8, 8, 4))
    network.add("x", "z", "sum")
    graph = loaded(network, network.conv(network.conv("sum", "wide", 16), "y", 2), inputs=("x", "z"))
    plan = choose(graph, None, Wishes(optimize="ram")).plan
    assert plan.stretches[0].grid is None and plan.stretches[0].ram_bytes == 2 * 256 and plan.is_patched
    with pytest.raises(QmkitError) as error:
        choose(graph, None, Wishes(patches=Grid(2, 2)))
    assert "several inputs" in error.value.why


def test_layer_by_layer_has_no_rows_of_input(graph):
    with pytest.raises(QmkitError) as error:
        choose(graph, None, Wishes(patches="off", input="rows"))
    assert error.value.code == "bad-patches"


@pytest.mark.parametrize(
    "fields",
    [
        {"patches": "0x4"}, {"patches": "missing.json"}, {"optimize": "speed"}, {"cost_limit": 0.5},
        {"cost_limit": float("nan")}, {"ram": 0}, {"halo": "all"}, {"input": "pushed"}, {"cost": "joules"},
    ],
)  # fmt: skip
def test_options_that_are_not_possible(fields):
    with pytest.raises(QmkitError) as error:
        Options(**fields)
    (name,) = fields
    assert error.value.code == "bad-option" and f"--{name.replace('_', '-')}" in error.value.message


def test_options_become_wishes():
    wishes = Options(patches="4x2", halo="reuse-rows", ram=4096).wishes(1000)
    assert wishes == Wishes(Grid(4, 2), "latency", 4096, True, None, HaloMode.REUSE_ROWS, "auto")
    assert Options().wishes(1000) == Wishes(ram_bytes=1000)
