"""RAM of segments by hand, the planner against every plan there is, and against msf-CNN's published front."""

import itertools

import pytest

from quantmcu_kit import passes, tflite
from quantmcu_kit.patch.memory import columns_of, rows_of, segment_memory
from quantmcu_kit.patch.plan import Plan, _parts, _whole, plan_front
from quantmcu_kit.patch.segment import Segment, cut_points, segment
from quantmcu_kit.patch.tiles import Grid, HaloMode, tiled_macs, tiles
from tests.support.networks import Network
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
    # Two rows of wide are kept for the next, 8 pixels of 16 channels each.
    assert memory.kept == 2 * 8 * 16
    # Three rows of wide and one of deep, while the depthwise layer runs.
    assert memory.tiles == 3 * 8 * 16 + 8 * 16
    # Row r of the output is written when row r + 1 of the input was read: it takes the place of rows before that.
    assert memory.junctions == 8 * 8 * 4


def test_memory_of_a_pixel_at_a_time(bottleneck):
    memory = memory_of(bottleneck, Grid(8, 8), HaloMode.REUSE)
    # The ring, and the tile of 3x3 pixels that keeps its columns.
    assert memory.kept == 2 * 8 * 16 + 3 * 3 * 16
    assert memory.tiles == 16  # one pixel of deep
    # Later pixels of a row still need the row below, of whose beginning nothing may be written over: row r ends where
    # row r - 1 of the input begins, two rows further down.
    assert memory.junctions == 8 * 8 * 4 + 2 * 8 * 4 - 8 * 4 * 1


def test_memory_of_independent_patches(bottleneck):
    memory = memory_of(bottleneck, Grid(2, 2), HaloMode.RECOMPUTE)
    assert memory.kept == 0
    assert memory.tiles == 5 * 5 * 16 + 4 * 4 * 16  # a patch of 4x4 and one pixel around it, at the image's corner


def test_a_pulled_input_is_a_map_like_others(bottleneck):
    memory = memory_of(bottleneck, Grid(8, 1), HaloMode.REUSE, is_pulled=True)
    assert memory.junctions == 8 * 8 * 4 and memory.kept == 2 * 8 * 16
    # Two rows of the input come at first, while wide's first two are computed.
    assert memory.tiles == 3 * 8 * 16 + max(2 * 8 * 4, 8 * 16)


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


def every_plan(graph):
    """All chains of stretches, each with all grids and modes, measured one by one."""
    cuts = [index for index, name in enumerate(cut_points(graph)) if name is not None]
    names = cut_points(graph)
    for count in range(len(cuts) - 1):
        for inner in itertools.combinations(cuts[1:-1], count):
            ends = (cuts[0], *inner, cuts[-1])
            yield from itertools.product(*(every_stretch(graph, names, *pair) for pair in itertools.pairwise(ends)))


def every_stretch(graph, names, start, end):
    found = []
    if not any(names[index] for index in range(start + 1, end)):
        stretch = _whole(graph, Segment(start, end, names[start], names[end]), False)
        found.append((stretch.ram_bytes, stretch.macs))
    piece = segment(graph, start, end)
    if piece is None:
        return found
    _, height, width, _ = graph.tensors[piece.output].shape
    for mode, n, m in itertools.product(HaloMode, _parts(height), _parts(width)):
        rows = rows_of(graph, piece, n, keep=mode.keeps_rows)
        columns = columns_of(graph, piece, m, keep=mode.keeps_columns)
        macs = tiled_macs(graph, piece, tiles(graph, piece, Grid(n, m), mode))
        found.append((segment_memory(graph, piece, rows, columns).total, macs))
    return found


def test_the_front_is_that_of_all_plans(residual):
    points = {(max(ram for ram, _ in chain), sum(macs for _, macs in chain)) for chain in every_plan(residual)}
    beaten = {a for a in points for b in points if a != b and b[0] <= a[0] and b[1] <= a[1]}
    front = plan_front(residual)
    assert [(plan.ram_bytes, plan.macs) for plan in front] == sorted(points - beaten)
    for plan in front:
        assert isinstance(plan, Plan)
        assert [stretch.segment.start for stretch in plan.stretches[1:]] == [s.segment.end for s in plan.stretches[:-1]]
        assert (plan.stretches[0].segment.start, plan.stretches[-1].segment.end) == (0, len(residual.nodes))


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
