"""Integer graphs per branch class: widths, ranges and ties by hand; shared weights, biases per class."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from quantmcu_kit import passes, quantize, tflite
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.branches import Branches, StaticClasses, check_branches, inner_maps
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import MIXED, OUTLIER, WHOLE, Calibration, PrecisionPlan
from quantmcu_kit.ir.schedule import Grid, HaloMode, Schedule, Stage
from quantmcu_kit.ir.types import DType
from quantmcu_kit.ops.branches import BranchInterpreter
from quantmcu_kit.ops.interpret import Interpreter
from quantmcu_kit.ops.serialize import save_graph
from quantmcu_kit.patch.lay_out import lay_out_segment
from quantmcu_kit.patch.segment import segment
from tests.support.networks import Network
from tests.unit.test_quantize import calibrated, stats_of

X = np.random.default_rng(0).normal(size=(6, 12, 12, 3)).astype(np.float32)
INNER = frozenset({"a", "b", "c", "d"})
BITS = {"a": 8, "b": 4, "c": 2, "d": 4}  # of class mixed
MINMAX = quantize.Settings(range_method="minmax", rounding="nearest", bias_correction=False)


def network(last: str = "y") -> Graph:
    """x -> conv a -> depthwise b -> conv c, added to a: d -> conv e -> conv y; or no further than e."""
    net = Network("float32")
    net.map("x", (1, 12, 12, 3))
    net.conv("x", "a", 6, activation=1)
    net.depthwise("a", "b")
    net.conv("b", "c", 6, kernel=1)
    net.add("a", "c", "d")
    net.conv("d", "e", 4, stride=2)
    if last == "y":
        net.conv("e", "y", 2)
    return passes.run_all(tflite.load(net.build(["x"], [last]), name="net"))


def staged(graph: Graph, end: int, rows: int = 2, columns: int = 2) -> Schedule:
    """Nodes [0, end) in patches that recompute."""
    grid = Grid(rows, columns)
    patches = lay_out_segment(graph, segment(graph, 0, end), grid, HaloMode.RECOMPUTE, is_pulled=False)
    stages = (Stage(0, end, patches), Stage(end, len(graph.nodes), None))
    return Schedule(tuple(stage for stage in stages if stage.end > stage.start))


def plan(mixed: dict[str, int], whole: dict[str, int] | None = None, **weights: int) -> PrecisionPlan:
    """Class ``outlier`` has 8 bits everywhere."""
    maps = {(OUTLIER, name): 8 for name in mixed} | {(MIXED, name): bits for name, bits in mixed.items()}
    return PrecisionPlan(8, maps | {(WHOLE, name): bits for name, bits in (whole or {}).items()}, weights)


def quantized(graph, precision, inner=INNER, class_stats=None, settings=None, pictures=X):
    return quantize.apply_classes(
        graph,
        calibrated(graph, pictures),
        precision,
        settings or quantize.Settings(),
        inner=inner,
        class_stats=class_stats or {},
    )


def test_widths_per_class():
    graph = network()
    assert inner_maps(staged(graph, 5).stages[0].patches) == INNER
    graphs = quantized(graph, plan(BITS, {"e": 4}, **{graph.nodes[1].inputs[1]: 4}))
    assert list(graphs) == [OUTLIER, MIXED]
    for name in INNER:
        assert graphs[OUTLIER].tensors[name].dtype is DType.I8
        assert graphs[MIXED].tensors[name].dtype is DType.feature_map(BITS[name])
    for each in graphs.values():
        assert {name: each.tensors[name].dtype for name in "xey"} == {"x": DType.I8, "e": DType.U4, "y": DType.I8}
        assert each.tensors[each.nodes[1].inputs[1]].dtype is DType.I4
    names = ((OUTLIER, MIXED), (MIXED, OUTLIER))
    check_branches(Branches(0, graphs, StaticClasses(names)), staged(graph, 5))


def test_weights_are_shared_and_biases_follow_the_input():
    """bias = rint(real bias / (input scale · weight scale)), each class with its own input scale."""
    graph = network()
    graphs = quantized(graph, plan(BITS), settings=MINMAX)
    for index, node in enumerate(graph.nodes):
        if node.op == "ADD":
            continue
        real = graph.tensors[node.inputs[2]].data.astype(float)
        x, weights, bias = zip(*(each.nodes[index].inputs for each in graphs.values()), strict=True)
        assert len({x, weights, bias}) == len({*x, *weights, *bias}) == 3
        first, second = (each.tensors[weights[0]] for each in graphs.values())
        assert first is second
        for each in graphs.values():
            scale = each.tensors[x[0]].quant.s * first.quant.scale
            np.testing.assert_array_equal(each.tensors[bias[0]].data, np.rint(real / scale.astype(float)))
            np.testing.assert_array_equal(each.tensors[bias[0]].quant.scale, scale)
        differ = not np.array_equal(*(each.tensors[bias[0]].data for each in graphs.values()))
        assert differ == (BITS.get(x[0], 8) != 8)


def test_ranges_per_class():
    """By the extremes: what each class's statistics say, and the calibration where they say nothing."""
    graph = network()
    values = {
        (OUTLIER, "b"): np.array([-9.0, 6.0]),
        (MIXED, "b"): np.array([-1.0, 2.0]),
        (MIXED, "c"): np.array([0, 3]),
    }
    class_stats = {key: stats_of(each) for key, each in values.items()}
    graphs = quantized(graph, plan(BITS), class_stats=class_stats, settings=MINMAX)
    seen = calibrated(graph, X).tensors

    def quant(branch_class: str, name: str) -> tuple[float, int]:
        found = graphs[branch_class].tensors[name].quant
        return float(found.s), found.z

    assert quant(OUTLIER, "b") == (pytest.approx(15 / 255), -128 + 153)  # 9 / (15 / 255)
    assert quant(MIXED, "b") == (pytest.approx(3 / 15), 5)
    assert quant(MIXED, "c") == (pytest.approx(3 / 3), 0)
    low, high = seen["c"].minimum, seen["c"].maximum
    assert quant(OUTLIER, "c")[0] == pytest.approx((high - low) / 255)
    assert quant(OUTLIER, "a") == quant(MIXED, "a") == (pytest.approx(seen["a"].maximum / 255), -128)


@pytest.mark.parametrize("range_method", ["mse", "percentile", "minmax"])
def test_classes_that_agree_are_one(range_method):
    """The same widths and statistics give the same graph, and that is the one without classes."""
    graph = network()
    settings = quantize.Settings(range_method=range_method)
    maps = {(name, tensor): bits for name in (OUTLIER, MIXED) for tensor, bits in BITS.items()}
    graphs = quantized(graph, PrecisionPlan(8, maps), settings=settings)
    alone = PrecisionPlan(8, {(WHOLE, tensor): bits for tensor, bits in BITS.items()})
    expected = save_graph(quantize.apply(graph, calibrated(graph, X), alone, settings))
    assert [save_graph(each) for each in graphs.values()] == [expected] * 2
    assert {name: save_graph(each) for name, each in quantized(graph, alone, settings=settings).items()} == {
        WHOLE: expected
    }


def pools() -> Graph:
    """x -> conv a -> max pool b -> max pool c -> conv y: a, b and c are tied where all have one width."""
    net = Network("float32")
    net.map("x", (1, 12, 12, 3))
    net.conv("x", "a", 4)
    net.pool("MAX_POOL_2D", "a", "b", window=3, stride=1)
    net.pool("MAX_POOL_2D", "b", "c")
    net.conv("c", "y", 2)
    return passes.run_all(tflite.load(net.build(["x"], ["y"]), name="net"))


def pooled(bits: int, ends: int = 8) -> dict[str, Graph]:
    """Nodes 1 and 2 in patches: b alone has classes. Outliers hold values up to 90, others up to 3."""
    class_stats = {(OUTLIER, "b"): stats_of(np.array([-1.0, 90.0])), (MIXED, "b"): stats_of(np.array([-2.0, 3.0]))}
    precision = plan({"b": bits}, {"a": ends, "c": ends})
    return quantized(pools(), precision, frozenset({"b"}), class_stats, MINMAX)


def test_ties_reach_the_ends_through_any_class():
    """At 8 bits b cannot be rescaled, so a and c have its range too, in both classes; at 4 bits b has its own."""
    low = min(each.minimum for name, each in calibrated(pools(), X).tensors.items() if name in "ac")
    assert low < -2
    graphs = pooled(4)
    for each in graphs.values():
        assert float(each.tensors["a"].quant.s) == pytest.approx((90 - low) / 255)
        assert each.tensors["a"].quant.same_as(each.tensors["c"].quant)
    assert graphs[OUTLIER].tensors["b"].quant.same_as(graphs[OUTLIER].tensors["a"].quant)
    assert float(graphs[MIXED].tensors["b"].quant.s) == pytest.approx(5 / 15)
    assert graphs[MIXED].tensors["b"].quant.z == 6
    # Both at 8 bits: both are tied. Ends of 4 bits: those of class mixed are tied to its b, and b at 8 bits to nothing.
    graphs = pooled(8)
    quants = [each.tensors[name].quant for each in graphs.values() for name in "abc"]
    assert all(quant.same_as(quants[0]) for quant in quants)
    graphs = pooled(4, ends=4)
    high = max(each.maximum for name, each in calibrated(pools(), X).tensors.items() if name in "ac")
    for each in graphs.values():
        assert float(each.tensors["a"].quant.s) == pytest.approx((high - low) / 15)
    assert graphs[MIXED].tensors["b"].quant.same_as(graphs[MIXED].tensors["a"].quant)
    assert float(graphs[OUTLIER].tensors["b"].quant.s) == pytest.approx(91 / 255)


def test_biases_fit_in_every_class():
    """Dead channels: weights of 1e-30 beside an ordinary bias, and inputs of which one class has hardly any range."""
    graph = network()
    name = graph.nodes[2].inputs[1]
    weights = graph.tensors[name]
    tiny = dataclasses.replace(weights, data=weights.data * np.float32(1e-30))
    graph = graph.replace(tensors={**graph.tensors, name: tiny})
    for branch_class in (OUTLIER, MIXED):
        class_stats = {(branch_class, "b"): stats_of(np.array([0.0, 1e-6]))}
        graphs = quantized(graph, plan(BITS), class_stats=class_stats)
        for each in graphs.values():
            assert np.abs(each.tensors[each.nodes[2].inputs[2]].data.astype(np.int64)).max() < 2**29


def test_outlier_patches_follow_the_float_network():
    """Classes of patches, end to end: at 2 bits the error is ten times that of 8."""
    graph = network("e")
    graphs = quantized(graph, plan(dict.fromkeys(INNER, 2)))
    branches = Branches(0, graphs, StaticClasses(((OUTLIER, MIXED), (MIXED, OUTLIER))))
    tensors = branches.common.tensors
    q = tensors["x"].quant.quantize(X, -128, 127).astype(np.int8)
    got = BranchInterpreter(branches.common, staged(graph, 5), branches).run({"x": q})["e"]
    real = Interpreter(graph, integer=False).run({"x": X})["e"]
    error = np.abs(tensors["e"].quant.dequantize(got) - real)

    def of_patch(row: int, column: int) -> float:
        return float(error[:, 3 * row : 3 * row + 3, 3 * column : 3 * column + 3].mean())

    assert 10 * max(of_patch(0, 0), of_patch(1, 1)) < min(of_patch(0, 1), of_patch(1, 0))


@pytest.mark.parametrize("pictures", [X[:1], np.zeros_like(X[:1]), np.full_like(X[:2], 3.0)], ids=["one", "0", "3"])
def test_hardly_any_calibration(pictures):
    """One picture, and pictures of one value, on a network with constant channels."""
    graph = network()
    name = graph.nodes[0].inputs[1]
    weights = graph.tensors[name]
    dead = dataclasses.replace(weights, data=weights.data * np.float32([1, 0, 1, 0, 0, 1]).reshape(-1, 1, 1, 1))
    graph = graph.replace(tensors={**graph.tensors, name: dead})
    graphs = quantized(graph, plan(dict.fromkeys(INNER, 4)), pictures=pictures)
    branches = Branches(0, graphs, StaticClasses(((OUTLIER, MIXED), (MIXED, MIXED))))
    q = branches.common.tensors["x"].quant.quantize(pictures, -128, 127).astype(np.int8)
    got = BranchInterpreter(branches.common, staged(graph, 5), branches).run({"x": q})["y"]
    real = Interpreter(graph, integer=False).run({"x": pictures})["y"]
    quant = branches.common.tensors["y"].quant
    assert np.abs(quant.dequantize(got) - real).mean() <= 0.25 * np.abs(real).mean() + float(quant.s)


def test_a_stage_that_ends_in_a_mean():
    """The map before the mean is cut into patches; it and all behind it have one quantization."""
    net = Network("float32")
    net.map("x", (1, 12, 12, 3))
    net.conv("x", "a", 4)
    net.conv("a", "b", 4)
    net.mean("b", "y", (1, 2))
    graph = passes.run_all(tflite.load(net.build(["x"], ["y"]), name="net"))
    schedule = staged(graph, 3)
    patches = schedule.stages[0].patches
    assert patches.accumulates and inner_maps(patches) == {"a"}
    graphs = quantized(graph, plan({"a": 4}), frozenset({"a"}))
    branches = Branches(0, graphs, StaticClasses(((OUTLIER, MIXED), (MIXED, MIXED))))
    q = branches.common.tensors["x"].quant.quantize(X, -128, 127).astype(np.int8)
    maps = [Interpreter(each, integer=True, keep_all=True).run({"x": q})["b"] for each in graphs.values()]
    maps[1][:, :6, :6] = maps[0][:, :6, :6]
    last = graphs[MIXED].nodes[-1]
    tail = graphs[MIXED].replace(nodes=[last], inputs=[dataclasses.replace(graph.inputs[0], tensor="b")])
    expected = Interpreter(tail, integer=True).run({"b": maps[1]})["y"]
    np.testing.assert_array_equal(BranchInterpreter(branches.common, schedule, branches).run({"x": q})["y"], expected)


def test_integer_graphs_and_plans_without_classes():
    graph = network()
    integer = quantize.apply(graph, calibrated(graph, X), PrecisionPlan(), quantize.Settings())
    empty = Calibration({}, {}, 0)
    found = quantize.apply_classes(integer, empty, plan(BITS), quantize.Settings(), inner=INNER, class_stats={})
    assert list(found) == [OUTLIER, MIXED] and all(each is integer for each in found.values())
    assert list(quantized(graph, PrecisionPlan())) == [WHOLE]
    assert list(quantized(graph, plan({}), frozenset())) == [WHOLE]


@pytest.mark.parametrize(
    ("maps", "named"),
    [
        ({(OUTLIER, "e"): 8}, "'outlier'"),
        ({(OUTLIER, "x"): 8, (MIXED, "a"): 8}, "'outlier'"),
        ({(OUTLIER, "a"): 8, (WHOLE, "a"): 8}, "'a'"),
        ({(MIXED, "a"): 5}, "5"),
        ({(MIXED, "nothing"): 4}, "'nothing'"),
    ],
)
def test_plans_that_do_not_fit_are_refused(maps, named):
    with pytest.raises(QmkitError) as caught:
        quantized(network(), PrecisionPlan(8, maps))
    assert caught.value.code == "unsupported-precision"
    assert caught.value.message.startswith(named)
