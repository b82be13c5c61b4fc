"""Quantization to 8, 4 and 2 bits: ranges, weights and rounding by brute force, and plans over whole networks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from quantmcu_kit import passes, quantize, tflite
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import WHOLE, PrecisionPlan
from quantmcu_kit.ir.text import dump
from quantmcu_kit.ir.types import DType, Quant
from quantmcu_kit.ops.interpret import Interpreter
from quantmcu_kit.ops.serialize import load_graph, save_graph
from quantmcu_kit.quantize.ranges import choose_range, quant_of_range
from quantmcu_kit.quantize.rounding import round_rows
from quantmcu_kit.quantize.ties import tie_groups
from quantmcu_kit.quantize.weights import Grid, least_error_scale, round_to_nearest, weight_scale
from quantmcu_kit.quantize.widths import map_bits
from tests.support.networks import Network
from tests.support.tflite_builder import options
from tests.unit import test_quantize
from tests.unit.test_quantize import X, calibrated, float_network, stats_of

MAPS = {8: (DType.I8, -128, 127), 4: (DType.U4, 0, 15), 2: (DType.U2, 0, 3)}


def squared_error(x: np.ndarray, low: float, high: float, bits: int) -> float:
    """Of really quantizing x to the range."""
    dtype, lowest, highest = MAPS[bits]
    quant = quant_of_range(low, high, dtype)
    return float(((quant.dequantize(quant.quantize(x, lowest, highest)) - x) ** 2).mean())


class TestRanges:
    @pytest.mark.parametrize("bits", [4, 2])
    @pytest.mark.parametrize("kind", ["relu", "normal", "heavy tails", "mostly positive", "negative"])
    def test_mse_is_near_the_best_of_all_ranges(self, kind, bits):
        """Brute force over every zero-point and 200 steps."""
        x = np.random.default_rng(0).normal(size=20_000).astype(np.float32)
        x = {
            "relu": np.maximum(x, 0),
            "normal": x,
            "heavy tails": x**3,
            "mostly positive": np.maximum(x, -0.1),
            "negative": -np.abs(x),
        }[kind]
        levels = 2**bits - 1
        widest = float(x.max() - x.min())
        steps = np.geomspace(0.02, 2, 200) * widest / levels
        best = min(squared_error(x, -z * s, (levels - z) * s, bits) for z in range(levels + 1) for s in steps)
        low, high = choose_range(stats_of(x), "mse", bits)
        assert low <= 0 <= high
        assert squared_error(x, low, high, bits) <= 1.02 * best
        assert squared_error(x, low, high, bits) < squared_error(x, min(x.min(), 0), max(x.max(), 0), bits)

    @pytest.mark.parametrize("bits", [4, 2])
    def test_a_range_keeps_its_zero_point(self, bits):
        """What the search chose is what the quantization has: zero is a level, the edges are levels."""
        dtype, lowest, highest = MAPS[bits]
        low, high = choose_range(stats_of(np.random.default_rng(1).normal(0.5, 1, 5000)), "mse", bits)
        quant = quant_of_range(low, high, dtype)
        assert lowest <= quant.z <= highest
        np.testing.assert_allclose(quant.dequantize(np.array([lowest, quant.z, highest])), [low, 0, high], rtol=1e-6)

    @pytest.mark.parametrize("method", ["minmax", "percentile"])
    def test_other_methods_do_not_look_at_the_width(self, method):
        stats = stats_of(np.random.default_rng(1).normal(size=5000))
        assert choose_range(stats, method, 2) == choose_range(stats, method, 8)

    @pytest.mark.parametrize("bits", [4, 2])
    @pytest.mark.parametrize("constant", [0.0, 2.5, -4.0])
    def test_constant_maps(self, bits, constant):
        low, high = choose_range(stats_of(np.full(10, constant)), "mse", bits)
        assert squared_error(np.float32([constant]), low, high, bits) <= (0.05 * constant) ** 2

    def test_unsigned_by_hand(self):
        quant = quant_of_range(-1.0, 2.0, DType.U4)  # 15 steps of 0.2, five of them below zero
        assert (pytest.approx(0.2), 5) == (float(quant.s), quant.z)
        assert quant.quantize(np.float32([-9, -1, 0, 0.31, 2, 9]), 0, 15).tolist() == [0, 0, 5, 7, 15, 15]


class TestWeights:
    @pytest.mark.parametrize(("dtype", "low", "high"), [(DType.I8, -127, 127), (DType.I4, -7, 7), (DType.I2, -2, 1)])
    def test_grids(self, dtype, low, high):
        grid = Grid(dtype)
        assert (grid.low, grid.high) == (low, high)
        scale = weight_scale(np.float32([[0.5, -1.0]]), 0, np.zeros(1), grid)
        assert float(scale[0]) == pytest.approx(1.0 / high)
        quant = Quant(np.float32([1.0]), np.zeros(1, np.int32), 0)
        assert round_to_nearest(np.float32([[-999, 999]]), quant, grid).tolist() == [[low, high]]

    @pytest.mark.parametrize("dtype", [DType.I4, DType.I2])
    def test_scale_is_near_the_best(self, dtype):
        """Brute force over 400 scales of each row, its weights' errors counted by their importance."""
        rng, grid = np.random.default_rng(3), Grid(dtype)
        rows, importance = rng.standard_t(5, (2, 3, 50)), rng.uniform(0, 4, (2, 50))
        cover = np.abs(rows).max(axis=2) / grid.high

        def error(scale: np.ndarray) -> np.ndarray:
            rounded = np.clip(np.rint(rows / scale[:, :, None]), grid.low, grid.high) * scale[:, :, None]
            return ((rounded - rows) ** 2 * importance[:, None]).sum(axis=2)

        best = np.min([error(cover * fraction) for fraction in np.linspace(0.05, 1, 400)], axis=0)
        found = error(least_error_scale(rows, cover, importance, grid))
        assert (found <= 1.05 * best).all() and (found <= error(cover)).all()

    @pytest.mark.parametrize("dtype", [DType.I4, DType.I2])
    def test_second_order_rounding_beats_nearest(self, dtype):
        rng, grid = np.random.default_rng(1), Grid(dtype)
        columns = (rng.normal(size=(2, 4000, 12)) @ rng.normal(size=(2, 12, 12))).astype(np.float32)
        rows, scale = rng.normal(size=(2, 5, 12)) * grid.high / 2, np.ones((2, 5))
        moments = test_quantize.TestSecondOrderRounding.moments(columns)

        def error(integers: np.ndarray) -> float:
            difference = integers - rows
            return float(np.einsum("grk,gkl,grl->", difference, moments.covariance, difference))

        rounded = round_rows(rows, scale, moments, grid)
        assert rounded.min() >= grid.low and rounded.max() <= grid.high
        assert error(rounded) < 0.8 * error(np.clip(np.rint(rows), grid.low, grid.high))


def quantized(graph: Graph, precision: PrecisionPlan, **settings) -> Graph:
    return quantize.apply(graph, calibrated(graph, X), precision, quantize.Settings(**settings))


def whole(**bits: int) -> dict[tuple[str, str], int]:
    return {(WHOLE, name): width for name, width in bits.items()}


def signal_to_noise(graph: Graph, integer: Graph, name: str) -> float:
    """Of one feature map, in decibels."""
    real = Interpreter(graph, integer=False, keep_all=True).run({"x": X})[name]
    q = integer.tensors["x"].quant.quantize(X, -128, 127).astype(np.int8)
    got = Interpreter(integer, integer=True, keep_all=True).run({"x": q})[name]
    error = integer.tensors[name].quant.dequantize(got) - real
    return float(10 * np.log10((real**2).mean() / (error**2).mean()))


def test_every_width_of_every_map_and_weight():
    """The plan is honoured, and more bits follow the float network closer."""
    graph = float_network()
    noise = {}
    for maps, weights in itertools.product((8, 4, 2), repeat=2):
        integer = quantized(graph, PrecisionPlan(default=maps, weights=dict.fromkeys(weight_names(graph), weights)))
        assert {integer.tensors[name].dtype for name in ("x", "scores")} == {DType.I8}
        assert {integer.tensors[name].dtype for name in ("a", "pooled", "b", "joined", "averages")} == {MAPS[maps][0]}
        for node in integer.nodes:
            if node.op == "CONV_2D":
                assert integer.tensors[node.inputs[1]].dtype is DType.weights(weights)
                assert integer.tensors[node.inputs[2]].dtype is DType.I32
        noise[maps, weights] = signal_to_noise(graph, integer, "a")
    assert all(noise[maps, 8] > noise[maps, 4] > noise[maps, 2] for maps in (8, 4, 2))
    assert noise[8, 8] > noise[4, 8] > noise[2, 8]
    assert noise[8, 8] > 25


def weight_names(graph: Graph) -> list[str]:
    return [node.inputs[1] for node in graph.nodes if node.op == "CONV_2D"]


def test_a_plan_of_eight_bits_changes_nothing():
    graph = float_network()
    listed = PrecisionPlan(8, whole(a=8, averages=8), dict.fromkeys(weight_names(graph), 8))
    assert save_graph(quantized(graph, listed)) == save_graph(quantized(graph, PrecisionPlan()))


def test_one_map_alone():
    """A pool and a concatenation requantize between the widths; all others keep their 8 bits."""
    graph = float_network()
    integer = quantized(graph, PrecisionPlan(feature_maps=whole(pooled=4)))
    dtypes = {name: integer.tensors[name].dtype for name in ("a", "pooled", "b", "joined", "averages")}
    assert dtypes == {"a": DType.I8, "pooled": DType.U4, "b": DType.I8, "joined": DType.I8, "averages": DType.I8}
    assert integer.tensors["b"].quant.same_as(integer.tensors["joined"].quant)
    assert not integer.tensors["a"].quant.same_as(integer.tensors["b"].quant)
    assert signal_to_noise(graph, integer, "a") > 35 > signal_to_noise(graph, integer, "pooled") > 15


def test_maps_of_different_widths_are_not_tied():
    graph = float_network()
    bits = map_bits(graph, PrecisionPlan(feature_maps=whole(a=4, pooled=4, joined=2)))
    groups = {frozenset(group) for group in tie_groups(graph, bits)}
    assert {frozenset({"a", "pooled"}), frozenset({"b"}), frozenset({"joined"})} <= groups


def flat_network() -> Graph:
    """x -> conv -> reshape -> conv -> reshape."""
    net = Network("float32")
    net.map("x", (1, 8, 8, 3))
    net.conv("x", "a", 3)
    net.node("RESHAPE", ["a"], "flat", (1, 8, 4, 6), options("ReshapeOptions", new_shape=[1, 8, 4, 6]))
    net.conv("flat", "y", 4)
    net.node("RESHAPE", ["y"], "out", (1, 128), options("ReshapeOptions", new_shape=[1, 128]))
    return passes.run_all(tflite.load(net.build(["x"], ["out"]), name="net"))


def test_views_share_the_narrowest_width_and_those_of_ports_have_eight_bits():
    graph = flat_network()
    names = [tensor.name for tensor in graph.feature_maps()]
    assert map_bits(graph, PrecisionPlan(feature_maps=whole(a=4))) == {n: 4 if n in ("a", "flat") else 8 for n in names}
    assert map_bits(graph, PrecisionPlan(feature_maps=whole(flat=2, a=4)))["a"] == 2
    assert map_bits(graph, PrecisionPlan(4))["y"] == 8
    integer = quantized(graph, PrecisionPlan(feature_maps=whole(a=4)))
    assert integer.tensors["a"].quant.same_as(integer.tensors["flat"].quant)
    assert (integer.tensors["a"].bytes, integer.tensors["flat"].bytes) == (64 * 2, 32 * 3)  # pixels of 3 and of 6


def test_probabilities_at_lower_widths():
    """A softmax that a concatenation follows need not be a port."""
    net = Network("float32")
    net.map("x", (1, 8, 8, 3))
    net.conv("x", "a", 4)
    net.node("SOFTMAX", ["a"], "p", (1, 8, 8, 4), options("SoftmaxOptions", beta=1.0))
    net.conv("p", "y", 2)
    graph = passes.run_all(tflite.load(net.build(["x"], ["y"]), name="net"))
    integer = quantized(graph, PrecisionPlan(feature_maps=whole(p=4)))
    quant = integer.tensors["p"].quant
    assert (float(quant.s), quant.z, integer.tensors["p"].dtype) == (1 / 16, 0, DType.U4)
    assert signal_to_noise(graph, integer, "p") > 15


def test_graphs_of_lower_widths_survive_serialization():
    integer = quantized(float_network(), PrecisionPlan(default=2))
    loaded = load_graph(save_graph(integer))
    assert dump(loaded) == dump(integer) and save_graph(loaded) == save_graph(integer)


@pytest.mark.parametrize(
    ("precision", "named"),
    [
        (PrecisionPlan(default=3), "3"),
        (PrecisionPlan(feature_maps=whole(a=16)), "16"),
        (PrecisionPlan(feature_maps=whole(nothing=4)), "'nothing'"),
        (PrecisionPlan(weights={"nothing": 4}), "'nothing'"),
        (PrecisionPlan(feature_maps={("outlier", "a"): 4}), "'outlier'"),
        (PrecisionPlan(feature_maps=whole(x=4)), "'x'"),
        (PrecisionPlan(feature_maps=whole(scores=2)), "'scores'"),
    ],
)
def test_plans_that_do_not_fit_are_refused(precision, named):
    with pytest.raises(QmkitError) as caught:
        quantized(float_network(), precision)
    assert caught.value.code == "unsupported-precision"
    assert caught.value.message.startswith(named)
