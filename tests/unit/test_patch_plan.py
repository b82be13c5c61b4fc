"""RAM of segments by hand, the planner against every plan there is, and against msf-CNN's published front."""

import itertools

import pytest
from hypothesis import Phase, given, settings

from quantmcu_kit import memory, passes, tflite
from quantmcu_kit.ir.schedule import Grid, HaloMode
from quantmcu_kit.memory.allocate import lower_bound, with_aligned_sizes
from quantmcu_kit.memory.liveness import find_lifetimes
from quantmcu_kit.patch.extent import columns_of, rows_of
from quantmcu_kit.patch.lay_out import lay_out
from quantmcu_kit.patch.plan import Plan, front_of, plan_front, whole
from quantmcu_kit.patch.segment import segment
from quantmcu_kit.patch.ways import Problem, parts_of, patched_ways
from tests.support.networks import Network
from tests.support.patch_tiles import tiled_macs, tiles
from tests.support.random_networks import random_maps
from tests.support.segment_memory import segment_memory
from tests.support.topologies import mcunet_320kb, mcunet_vww, mobilenet_v2_035


def loaded(network, output):
    return passes.run_all(tflite.load(network.build(["x"], [output]), name="small"))


@pytest.fixture(scope="module")
def bottleneck():
    """8x8x4 -> pointwise 16 -> depthwise 3x3 -> pointwise 4."""
    network = Network()
    network.map("x", (1, 8, 8, 4))
    network.conv("x", "wide", 16, kernel=1)
    network.depthwise("wide", "deep")
    return loaded(network, network.conv("deep", "narrow", 4, kernel=1))


def memory_of(graph, grid, mode, **options):
    piece = segment(graph, 0, len(graph.nodes))
    rows = rows_of(graph, piece, grid.rows, keep=mode.keeps_rows)
    columns = columns_of(graph, piece, grid.columns, keep=mode.keeps_columns)
    return segment_memory(graph, piece, rows, columns, **options)


def test_memory_of_a_row_at_a_time(bottleneck):
    memory = memory_of(bottleneck, Grid(8, 1), HaloMode.REUSE)
    # Three rows of wide, 8 pixels of 16 channels each, in a ring: two stay for the next patch, one is new.
    assert memory.kept == 3 * 8 * 16
    # One row of deep passes.
    assert memory.tiles == 8 * 16
    # Row r of the output is written when row r + 1 of the input was read: it takes the place of rows before that.
    assert memory.junctions == 8 * 8 * 4


def test_memory_of_a_pixel_at_a_time(bottleneck):
    memory = memory_of(bottleneck, Grid(8, 8), HaloMode.REUSE)
    # The ring, and the tile of 3x3 pixels that keeps its columns.
    assert memory.kept == 2 * 8 * 16 + 3 * 3 * 16
    assert memory.tiles == 16  # one pixel of deep
    # While row r of the output is written, row r + 1 of the input is read, and no row above it any more.
    assert memory.junctions == 8 * 8 * 4


def test_memory_of_independent_patches(bottleneck):
    memory = memory_of(bottleneck, Grid(2, 2), HaloMode.RECOMPUTE)
    assert memory.kept == 0
    assert memory.tiles == 5 * 5 * 16 + 4 * 4 * 16  # a patch of 4x4 and one pixel around it, at the image's corner


def test_a_pulled_input_is_a_map_like_others(bottleneck):
    memory = memory_of(bottleneck, Grid(8, 1), HaloMode.REUSE, is_pulled=True)
    assert memory.junctions == 8 * 8 * 4 and memory.kept == 3 * 8 * 16
    # Two rows of the input come at first, while wide's first two are computed; later a row of deep takes their place.
    assert memory.tiles == max(2 * 8 * 4, 8 * 16)


def test_memory_with_scratch(bottleneck):
    names = [node.name for node in bottleneck.nodes]
    for index, scratch, most in ((0, 99, 128), (1, 99, 128 + 100), (0, 130, 132)):
        memory = memory_of(bottleneck, Grid(8, 1), HaloMode.REUSE, scratch={names[index]: scratch})
        assert memory.tiles == most  # it lives at its node, beside the row of deep there; 4 bytes are a unit


@pytest.fixture(scope="module")
def residual():
    """Three cut points, a residual that spans two nodes, and a mean that cannot be tiled."""
    network = Network()
    network.map("x", (1, 6, 5, 2))
    network.conv("x", "a", 6, stride=2)
    network.depthwise("a", "b")
    network.add("a", "b", "c")
    network.conv("c", "d", 3)
    return loaded(network, network.mean("d", "e", [1, 2]))


def every_plan(problem, pull_input):
    """All chains of stretches, each with all grids and modes, measured one by one."""
    cuts = [index for index, name in enumerate(problem.cuts) if name is not None]
    for count in range(len(cuts) - 1):
        for inner in itertools.combinations(cuts[1:-1], count):
            ends = (cuts[0], *inner, cuts[-1])
            pieces = [every_stretch(problem, *pair, pull_input and pair[0] == 0) for pair in itertools.pairwise(ends)]
            yield from itertools.product(*pieces)


def every_stretch(problem, start, end, is_pulled):
    """Those among them that no other one beats: a plan with one that is beaten is beaten too."""
    graph, found = problem.graph, set()
    if not is_pulled:
        stretch = whole(problem, start, end)
        found.add((stretch.ram_bytes, stretch.macs))
    piece = segment(graph, start, end)
    if piece is not None:
        found |= {(ram_bytes, macs) for _, _, ram_bytes, macs in every_way(problem, piece, is_pulled)}
    return unbeaten(found)


def every_way(problem, piece, is_pulled, start=0, step=1):
    """Each grid and mode of a segment, or every ``step``-th one, by the definitions, patch by patch."""
    graph = problem.graph
    _, height, width, _ = graph.tensors[piece.cut_map(graph)].shape
    tail = sum(problem.macs[piece.tiled_end : piece.end])
    everything = itertools.product(HaloMode, parts_of(height), parts_of(width))
    for mode, n, m in itertools.islice(everything, start, None, step):
        rows = rows_of(graph, piece, n, keep=mode.keeps_rows)
        columns = columns_of(graph, piece, m, keep=mode.keeps_columns)
        ram = segment_memory(graph, piece, rows, columns, scratch=problem.scratch, is_pulled=is_pulled)
        yield Grid(n, m), mode, ram.total, tiled_macs(graph, piece, tiles(graph, piece, Grid(n, m), mode)) + tail


def unbeaten(points):
    return {a for a in points if not any(a != b and b[0] <= a[0] and b[1] <= a[1] for b in points)}


@pytest.mark.parametrize("pull_input", [False, True])
def test_the_front_is_that_of_all_plans(residual, pull_input):
    problem = Problem.of(residual)
    chains = every_plan(problem, pull_input)
    points = {(max(ram for ram, _ in chain), sum(macs for _, macs in chain)) for chain in chains}
    front = plan_front(residual, pull_input=pull_input)
    assert [(plan.ram_bytes, plan.macs) for plan in front] == sorted(unbeaten(points))
    assert front == plan_front(residual, pull_input=pull_input)
    for plan in front:
        assert isinstance(plan, Plan) and plan.cost == plan.macs
        assert plan.stretches[0].grid is not None or not pull_input
        assert [stretch.segment.start for stretch in plan.stretches[1:]] == [s.segment.end for s in plan.stretches[:-1]]
        assert (plan.stretches[0].segment.start, plan.stretches[-1].segment.end) == (0, len(residual.nodes))


def examples(count):
    """The same random networks every time."""
    found = []

    @settings(max_examples=count, derandomize=True, database=None, deadline=None, phases=[Phase.generate])
    @given(random_maps(7, reduces=True))
    def collect(graph):
        found.append(graph)

    collect()
    return found


@pytest.fixture(scope="module")
def problems():
    return [Problem.of(graph) for graph in examples(40)]


def test_ways_on_arrays_are_those_of_the_definitions(problems):
    """RAM and MACs of sampled grids and modes of every segment, tails included."""
    checked = 0
    for number, problem in enumerate(problems):
        count = len(problem.graph.nodes)
        pairs = [(start, end) for end in range(1, count + 1) for start in range(end)]
        for start, end in pairs[number % 3 :: 3]:
            piece = segment(problem.graph, start, end)
            is_pulled = start == 0 and number % 2 == 0
            if piece is None:
                assert not list(patched_ways(problem, end, is_pulled=is_pulled, starts=[start]))
                continue
            for grid, mode, ram_bytes, macs in every_way(problem, piece, is_pulled, number, 29):
                (ways,) = patched_ways(problem, end, is_pulled=is_pulled, modes=[mode], grids=[grid], starts=[start])
                assert (ways.segment, ways.ram_bytes[0], ways.macs[0]) == (piece, ram_bytes, macs)
                checked += piece.tail > 0
    assert checked > 20


def test_a_plan_needs_what_the_arena_will_at_least(problems):
    for problem in problems:
        graph = problem.graph
        blocks = with_aligned_sizes(find_lifetimes(graph).blocks, 16)
        assert max(problem.whole) == lower_bound(blocks)
        for pull_input in (False, True):
            for plan in front_of(problem, pull_input=pull_input)[::2]:
                placed = memory.plan(graph, lay_out(graph, plan))
                if not any(stage.joined for stage in placed.stages):  # these are not foreseen, and only save
                    assert placed.lower_bound_bytes == -(-plan.ram_bytes // 16) * 16


def test_some_modes_and_grids_only(residual):
    front = plan_front(residual, modes=[HaloMode.RECOMPUTE], grids=[Grid(2, 2), Grid(3, 1)])
    patched = [stretch for plan in front for stretch in plan.stretches if stretch.grid]
    assert patched and {stretch.mode for stretch in patched} == {HaloMode.RECOMPUTE}
    assert {stretch.grid for stretch in patched} <= {Grid(2, 2), Grid(3, 1)}


# Multiply-accumulates and bytes of the widest layer's input and output (arXiv 2505.11483, result files).
@pytest.mark.parametrize(
    ("network", "macs", "unfused"),
    [(mobilenet_v2_035, 18_909_490, 194_400), (mcunet_320kb, 81_625_520, 309_760), (mcunet_vww, 11_578_496, 96_000)],
)
def test_topologies_are_the_published_ones(network, macs, unfused):
    graph = network()
    whole = segment(graph, 0, len(graph.nodes))
    assert tiled_macs(graph, whole, tiles(graph, whole, Grid(1, 1), HaloMode.RECOMPUTE)) == macs
    ends = [{*graph.activation_inputs(node), node.output} for node in graph.nodes]
    assert max(sum(graph.tensors[name].elements for name in names) for names in ends) == unfused


def test_plans_beat_msf_cnn_on_its_own_network():
    """MCUNetV2-VWW at 80: at each published MAC factor less RAM, at each published RAM a smaller factor."""
    published = ((89_600, 1.000), (45_283, 1.023), (26_240, 1.113), (17_904, 1.345), (15_368, 1.957))
    front = plan_front(mcunet_vww(), pull_input=True)
    once = front[-1].macs
    assert once == 11_578_496 and [p.ram_bytes for p in front] == sorted(p.ram_bytes for p in front)
    for ram_bytes, factor in published:
        assert min(plan.ram_bytes for plan in front if plan.macs <= factor * once) < ram_bytes
        assert min(plan.macs for plan in front if plan.ram_bytes <= ram_bytes) <= factor * once
    assert front[-1].ram_bytes <= 18_000 and front[0].ram_bytes <= 12_000


def test_rows_are_added_up_at_the_end_of_msf_cnns_network():
    """MobileNetV2-0.35 at 144, average pool included: 18 kB at factor 1, below 8 kB where anything may be repeated."""
    graph = mobilenet_v2_035()
    front = plan_front(graph, pull_input=True)
    assert front[-1].macs == 18_909_490 and front[-1].ram_bytes <= 18_000 and front[0].ram_bytes <= 8_000
